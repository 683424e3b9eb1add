import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { cpuSeconds, processes } from '../../support/process-tree.ts'

/** Clock ticks per second of /proc/stat on Linux. */
const TICKS = 100

/** CPU time between two looks. */
export interface CpuUse {
  /** Of each part that was watched, s. */
  readonly seconds: ReadonlyMap<string, number>
  /** Of everything that ran on this machine, s. */
  readonly machineSeconds: number
  readonly wallSeconds: number
  readonly cores: number
}

/** Time in which the machine did something, s, from the text of /proc/stat. */
export function machineSeconds(stat: string): number {
  const [first = ''] = stat.split('\n')
  const [, user, nice, system, , , irq, softirq, steal] = first.split(/ +/).map(Number)
  const parts = [user, nice, system, irq, softirq, steal]
  return parts.reduce<number>((sum, part) => sum + (part ?? 0), 0) / TICKS
}

const readMachine = (): number => machineSeconds(readFileSync('/proc/stat', 'utf8'))

/** CPU time of a process so far; 0 when it is gone. */
function secondsOf(pid: number): number {
  try {
    return cpuSeconds(pid)
  } catch {
    return 0
  }
}

/** Processes by what they are. */
export type Parts = ReadonlyMap<string, number>

/**
 * Starts to watch processes, and this one as `self`; the function that it returns looks again. Who
 * is watched is asked both times: what has started meanwhile counts as a whole.
 */
export function watchCpu(parts: () => Parts, self = 'load'): () => CpuUse {
  const pids = () => [...parts(), [self, process.pid] as const]
  const before = new Map(pids().map(([, pid]) => [pid, secondsOf(pid)]))
  const machineBefore = readMachine()
  const startedMs = performance.now()
  return () => ({
    seconds: new Map(
      pids().map(([name, pid]) => [name, secondsOf(pid) - (before.get(pid) ?? 0)] as const),
    ),
    machineSeconds: readMachine() - machineBefore,
    wallSeconds: (performance.now() - startedMs) / 1_000,
    cores: cpus().length,
  })
}

/** The broker that this process has started from the jars; none where it came from elsewhere. */
export function ownBroker(): Parts {
  const found = processes().find(
    ({ parent, command }) => parent === process.pid && command.includes(' kafka.Kafka '),
  )
  return new Map(found === undefined ? [] : [['broker', found.pid]])
}

const percent = (part: number, whole: number): string => `${Math.round((part / whole) * 100)} %`

/** `mediator 1.24, broker 0.31`: CPU time of each part for one of `count` things, ms. */
export function cpuPerThing({ seconds }: CpuUse, count: number): string {
  return [...seconds]
    .map(([name, spent]) => `${name} ${((spent * 1_000) / count).toPrecision(3)}`)
    .join(', ')
}

const sumOf = ({ seconds }: CpuUse): number =>
  [...seconds.values()].reduce((sum, part) => sum + part, 0)

/** What the machine has CPU time for, if it does nothing else: things per second. */
export const mostPerSecond = (use: CpuUse, count: number): number =>
  (use.cores * count) / sumOf(use)

/** How much of the machine was in use, and how much of it by others. */
export function machineText(use: CpuUse): string {
  const { machineSeconds: busy, wallSeconds, cores } = use
  const there = cores * wallSeconds
  const others = percent(Math.max(0, busy - sumOf(use)), there)
  const all = `${cores} cores were busy for ${percent(busy, there)} of the time`
  return `${all}, ${others} with other work`
}
