import { type ChildProcess, type StdioOptions, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Socket } from 'node:net'

/**
 * Flags of Node for the agent and the supervisor: they are idle nearly always, so their code is
 * interpreted (8 MiB less each) and their young generation is small.
 */
export const SMALL_NODE_FLAGS: readonly string[] = ['--lite-mode', '--max-semi-space-size=1']

/** What this process may do to keep tasks apart. */
export interface Isolation {
  /** Tasks run as a uid per tenant. */
  readonly perTenantUid: boolean
  /** `setpriv` with the options that work here; empty = not available. */
  readonly setpriv: readonly string[]
  /** For people. */
  readonly text: string
}

/** Absolute, because it must not be found by a PATH that a task brings. */
const SETPRIV_PATHS = ['/usr/bin/setpriv', '/bin/setpriv', '/usr/local/bin/setpriv']

/** Finds out what works by trying it. @param limits controllers of cgroup v2 that can be used */
export function probeIsolation(limits: readonly string[] | undefined): Isolation {
  const perTenantUid = process.getuid?.() === 0
  const file = SETPRIV_PATHS.find((path) => existsSync(path))
  const wrapper = file === undefined ? [] : [file, '--no-new-privs', '--pdeathsig', 'KILL', '--']
  const [program = '', ...args] = wrapper
  const works = program !== '' && spawnSync(program, [...args, '/bin/true']).status === 0
  const parts = [
    perTenantUid ? 'per-tenant uid' : "tasks run as the agent's user",
    works
      ? 'no-new-privileges, parent-death signal'
      : 'no setpriv: tasks may outlive a killed supervisor until its next start',
    limits === undefined ? 'no cgroup v2' : ['cgroup v2', ...limits].join(', '),
    limits?.includes('memory') === true ? 'memory limited' : 'memory not limited',
  ]
  return { perTenantUid, setpriv: works ? wrapper : [], text: parts.join('; ') }
}

/** How a process is started. */
export interface LaunchOptions {
  /** Absolute path. */
  readonly program: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Undefined = as this process's user. */
  readonly uid: number | undefined
  /** Called with the pid before the program runs: the process waits until it returns. */
  readonly beforeRun?: ((pid: number) => void) | undefined
  readonly stdio: readonly (number | 'ignore' | 'pipe' | 'ipc')[]
}

/** Waits for one line on descriptor 3, then becomes the program. */
const GATE = 'read -r _ <&3; exec 3<&-; exec "$@"'

/**
 * Starts a process in a session of its own. The uid is taken before anything runs, so that the
 * task's environment (LD_PRELOAD, PATH) never meets a privileged program; then `setpriv` sets
 * no-new-privileges and the parent-death signal. The process id is that of the program itself:
 * every wrapper replaces itself.
 */
export function launch(isolation: Isolation, options: LaunchOptions): ChildProcess {
  const { uid, beforeRun } = options
  const command = [...isolation.setpriv, options.program, ...options.args]
  const stdio: StdioOptions = [...options.stdio]
  if (beforeRun !== undefined) {
    command.unshift('/bin/sh', '-c', GATE, 'sh')
    stdio.push('pipe')
  }
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...options.env },
    detached: true,
    stdio,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  })
  const gate = child.stdio.at(3)
  if (beforeRun !== undefined && child.pid !== undefined && gate instanceof Socket) {
    beforeRun(child.pid)
    gate.on('error', () => undefined)
    gate.end('\n')
  }
  return child
}
