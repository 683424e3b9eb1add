import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { processInput } from '@serverless-ai/config'
import type { Timers } from '@serverless-ai/kernel'
import type { ServiceProcess } from './plan.ts'

/** The output of a process is rotated at a start above this, bytes. */
const LOG_MAX_BYTES = 8 * 1024 * 1024
/** Time for an orderly end; then it is killed, ms. */
const STOP_TIMEOUT_MS = 10_000
const TAIL_BYTES = 2_000
/**
 * Room for what is short-lived. With less of it (2 MiB) a job costs a quarter more CPU time and
 * what should have died young fills the heap; with more of it nothing is gained.
 */
const NODE_FLAGS = ['--max-semi-space-size=16']

/** A process of a service that was started. */
export interface Child {
  readonly pid: number
  /** Resolves when it listens; never when it ends before. */
  readonly listening: Promise<void>
  /** Resolves with what it ended with: an exit status or a signal. */
  readonly ended: Promise<string>
  /** SIGTERM, and SIGKILL to one that does not end; resolves when it has ended. */
  stop(): Promise<void>
}

function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_MAX_BYTES) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}

/** The end of what a process wrote to its output. */
export function lastWords({ logFile }: ServiceProcess): string {
  try {
    return readFileSync(logFile, 'utf8').slice(-TAIL_BYTES).trim()
  } catch {
    return ''
  }
}

/** What one process has compiled the next one need not: a start takes a quarter less. */
const COMPILED = fileURLToPath(
  new URL('../../../../node_modules/.cache/serverless-ai', import.meta.url),
)

/**
 * Settings of this process would outdo the file of the new one: variables are stronger than files.
 */
function environment(): Record<string, string | undefined> {
  const entries = Object.entries(processInput().env)
  const own = entries.filter(([name]) => !name.startsWith('SAI_'))
  return { NODE_COMPILE_CACHE: COMPILED, ...Object.fromEntries(own) }
}

/**
 * Starts a service by its main and its configuration file. In a session of its own: a terminal's
 * Ctrl-C is ours to pass on. With a channel: it ends in order when this process is gone.
 */
export function startChild(service: ServiceProcess, timers: Timers): Child {
  const log = openLog(service.logFile)
  let child: ChildProcess
  try {
    const args = [...NODE_FLAGS, service.main, '--config', service.configFile]
    child = spawn(process.execPath, args, {
      stdio: ['ignore', log, log, 'ipc'],
      detached: true,
      env: environment(),
    })
  } finally {
    closeSync(log)
  }
  const listening = new Promise<void>((resolve) => child.once('message', () => resolve()))
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `status ${code}`))
    child.once('error', (error) => resolve(error.message))
  })
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const late = timers.after(STOP_TIMEOUT_MS, () => child.kill('SIGKILL'))
    await ended
    late.cancel()
  }
  return { pid: child.pid ?? 0, listening, ended, stop }
}
