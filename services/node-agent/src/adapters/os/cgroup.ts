import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readText } from './files.ts'

/** A cgroup v2 folder under which each task gets its own. */
export interface Cgroups {
  /** Limits that can be set here. */
  readonly controllers: readonly ('cpu' | 'memory')[]
  /** Makes the group of a task; undefined when it cannot be made. */
  create(name: string, limits: { cpuMillis: number; memoryMib: number }): TaskCgroup | undefined
  /** Kills everything in groups that an older session left, and removes them. */
  clear(): void
  /** Removes the node's own group: no task is left. */
  close(): void
}

/** Group of one task. */
export interface TaskCgroup {
  /** Moves a process into it; false when that failed. */
  add(pid: number): boolean
  /** Kills all processes in it at once, whatever they forked. */
  kill(): void
  /** True when the memory limit killed something. */
  wasOutOfMemory(): boolean
  remove(): void
}

function tryWrite(path: string, text: string): boolean {
  try {
    writeFileSync(path, text)
    return true
  } catch {
    return false
  }
}

function ownGroup(): string | undefined {
  const mounts = readText('/proc/self/mounts')?.split('\n') ?? []
  const mount = mounts.map((line) => line.split(' ')).find((parts) => parts[2] === 'cgroup2')?.[1]
  const own = /^0::(.*)$/m.exec(readText('/proc/self/cgroup') ?? '')?.[1]
  if (mount === undefined || own === undefined) return undefined
  return join(mount, own)
}

function removeGroup(path: string): void {
  tryWrite(join(path, 'cgroup.kill'), '1')
  try {
    rmdirSync(path)
  } catch {
    // Still has dying processes: the next session clears it.
  }
}

/**
 * Finds out what this process may do with cgroup v2; undefined when nothing. Quiet: the node says
 * in its isolation text what is missing.
 *
 * @param name folder of this node, unique on the machine.
 */
export function openCgroups(name: string): Cgroups | undefined {
  const own = ownGroup()
  if (own === undefined || !existsSync(join(own, 'cgroup.procs'))) return undefined
  const root = join(own, name)
  try {
    mkdirSync(root, { recursive: true })
    // Without cgroup.kill (before Linux 5.14) a group is of no more use than a session.
    if (!existsSync(join(root, 'cgroup.kill'))) throw new Error('no cgroup.kill')
  } catch {
    return undefined
  }
  // A group that has processes of its own cannot hand controllers down; the root group can.
  const controllers = (['cpu', 'memory'] as const).filter((controller) => {
    const handedDown = tryWrite(join(own, 'cgroup.subtree_control'), `+${controller}`)
    return handedDown && tryWrite(join(root, 'cgroup.subtree_control'), `+${controller}`)
  })
  return {
    controllers,
    create: (task, limits) => createTask(join(root, task), limits),
    clear() {
      for (const entry of readdirSync(root, { withFileTypes: true })) {
        if (entry.isDirectory()) removeGroup(join(root, entry.name))
      }
    },
    close: () => removeGroup(root),
  }
}

function createTask(
  path: string,
  limits: { readonly cpuMillis: number; readonly memoryMib: number },
): TaskCgroup | undefined {
  try {
    mkdirSync(path)
  } catch {
    return undefined
  }
  if (limits.memoryMib > 0) {
    tryWrite(join(path, 'memory.max'), String(limits.memoryMib * 1024 * 1024))
    tryWrite(join(path, 'memory.swap.max'), '0')
    tryWrite(join(path, 'memory.oom.group'), '1')
  }
  if (limits.cpuMillis > 0) tryWrite(join(path, 'cpu.max'), `${limits.cpuMillis * 100} 100000`)
  return {
    add: (pid) => tryWrite(join(path, 'cgroup.procs'), String(pid)),
    kill: () => void tryWrite(join(path, 'cgroup.kill'), '1'),
    wasOutOfMemory() {
      const events = readText(join(path, 'memory.events')) ?? ''
      return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0) > 0
    },
    remove: () => removeGroup(path),
  }
}
