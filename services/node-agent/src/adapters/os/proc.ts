import { readdirSync, readFileSync } from 'node:fs'
import type { Timers } from '@serverless-ai/kernel'
import { readText } from './files.ts'

/** A process, told apart from a later one with the same id by its start time. */
export interface ProcessId {
  readonly pid: number
  /** Field 22 of /proc/PID/stat (clock ticks since boot); empty where there is no /proc. */
  readonly startTime: string
}

/** What /proc/PID/stat says; undefined when there is no such process. */
function statOf(pid: number): { state: string; session: number; startTime: string } | undefined {
  const text = readText(`/proc/${pid}/stat`)
  if (text === undefined) return undefined
  // The name in parentheses may hold spaces and parentheses itself.
  const rest = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: rest[0] ?? '', session: Number(rest[3]), startTime: rest[19] ?? '' }
}

/** Start time of a process, the empty string when it is not known. */
export function startTimeOf(pid: number): string {
  return statOf(pid)?.startTime ?? ''
}

/** True when exactly that process runs (a zombie does not). */
export function isRunning({ pid, startTime }: ProcessId): boolean {
  const stat = statOf(pid)
  if (stat !== undefined) return stat.startTime === startTime && stat.state !== 'Z'
  if (startTime !== '') return false
  return signal(pid, 0)
}

/** Sends a signal; a negative pid is a process group. False when nobody is there. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

/** Variable by which processes of an execution are found, whatever group or session they are in. */
export const EXECUTION_VARIABLE = 'SAI_EXECUTION'

/** Processes for which `matches(marker, session)` holds; zombies are left out. */
function findProcesses(matches: (marker: string, session: number) => boolean): number[] {
  const found: number[] = []
  let names: string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return found
  }
  for (const name of names) {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    const stat = statOf(pid)
    if (stat === undefined || stat.state === 'Z') continue
    if (matches(markerOf(pid), stat.session)) found.push(pid)
  }
  return found
}

function markerOf(pid: number): string {
  let environ: string
  try {
    environ = readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
  const prefix = `${EXECUTION_VARIABLE}=`
  const entry = environ.split('\0').find((item) => item.startsWith(prefix))
  return entry?.slice(prefix.length) ?? ''
}

/**
 * Kills every process that `matches` until none is left. Repeats because what is killed may have
 * started another one meanwhile.
 *
 * @returns how many were killed; a process that does not die (uninterruptible) stays.
 */
export async function killAll(
  timers: Timers,
  matches: (marker: string, session: number) => boolean,
): Promise<number> {
  const killed = new Set<number>()
  for (let round = 0; round < 200; round += 1) {
    const found = findProcesses(matches)
    if (found.length === 0) break
    for (const pid of found) {
      signal(pid, 'SIGKILL')
      killed.add(pid)
    }
    await timers.sleep(round < 20 ? 1 : 20)
  }
  return killed.size
}
