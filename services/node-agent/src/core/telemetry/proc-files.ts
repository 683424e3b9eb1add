import { countOf, type NodeReading, numberOf, type TaskReading } from './readings.ts'

/**
 * Files of `/proc`. Formats: `proc(5)` of the Linux manual and `Documentation/accounting/psi.rst`
 * of the kernel.
 */

/** `USER_HZ` is 100 on every machine that Node runs on: a tick is this long, microseconds. */
const TICK_US = 10_000
const KIB_PER_MIB = 1024

/** Value of `Name:   123 kB`, in its own unit. */
function field(text: string, name: string): number | undefined {
  return numberOf(new RegExp(`^${name}:\\s+(\\d+)(?: kB)?$`, 'm').exec(text)?.[1])
}

/**
 * CPU time of all cores that was not idle, from the first line of `/proc/stat`, microseconds.
 * Waiting for disks is idle; what the hypervisor gave to others is not this machine's.
 */
export function parseStat(text: string): number | undefined {
  const columns = /^cpu +(.+)$/m.exec(text)?.[1]?.split(' ').map(numberOf) ?? []
  const [user, nice, system, , , irq = 0, softirq = 0] = columns
  if (user === undefined || nice === undefined || system === undefined) return undefined
  return countOf((user + nice + system + irq + softirq) * TICK_US)
}

/** Memory of the machine from `/proc/meminfo`, MiB. */
export function parseMeminfo(text: string): Pick<NodeReading, 'memoryUsedMib' | 'memoryTotalMib'> {
  const total = field(text, 'MemTotal')
  const available = field(text, 'MemAvailable')
  if (total === undefined || total === 0) return {}
  const memoryTotalMib = Math.floor(total / KIB_PER_MIB)
  if (available === undefined || available > total) return { memoryTotalMib }
  return { memoryTotalMib, memoryUsedMib: Math.floor((total - available) / KIB_PER_MIB) }
}

/** `total` of the line `some` of `/proc/pressure/*`, microseconds. */
export function parsePressure(text: string): number | undefined {
  return countOf(numberOf(/^some .*\btotal=(\d+)$/m.exec(text)?.[1]))
}

/** One process as its files say, each undefined where it could not be read. */
export interface ProcessFiles {
  /** `/proc/PID/stat` */
  readonly stat: string
  /** `/proc/PID/status` */
  readonly status: string | undefined
  /** `/proc/PID/io`: only its owner may read it. */
  readonly io: string | undefined
}

/** CPU time of a process and of its ended children, from `/proc/PID/stat`, microseconds. */
export function parsePidStat(text: string): number | undefined {
  // The name in parentheses may hold spaces and parentheses itself.
  const rest = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const times = rest.slice(11, 15).map(numberOf)
  if (times.length < 4 || times.includes(undefined)) return undefined
  return countOf(times.reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) * TICK_US)
}

/** Adds up; undefined as soon as one part is not known: a part of a sum is no sum. */
function sum(values: readonly (number | undefined)[]): number | undefined {
  let total = 0
  for (const value of values) {
    if (value === undefined) return undefined
    total += value
  }
  return total
}

const mib = (kib: number | undefined): number | undefined =>
  kib === undefined ? undefined : Math.floor(kib / KIB_PER_MIB)

/**
 * All processes of a task together. Pages that they share are counted once: what is their own adds
 * up, of what is mapped from files and of shared memory the largest part counts.
 */
export function processesReading(processes: readonly ProcessFiles[]): TaskReading | undefined {
  if (processes.length === 0) return undefined
  const of = (name: string) =>
    processes.map(({ status }) => (status === undefined ? undefined : field(status, name)))
  const own = sum(of('RssAnon'))
  const files = of('RssFile')
  const shared = of('RssShmem')
  const largest = (each: readonly (number | undefined)[]) => Math.max(...each.map((n) => n ?? 0))
  const io = (name: string) =>
    sum(processes.map((one) => (one.io === undefined ? undefined : field(one.io, name))))
  const peaks = sum(of('VmHWM')) === undefined ? undefined : largest(of('VmHWM'))
  return {
    source: 'procfs',
    cpuUs: sum(processes.map(({ stat }) => parsePidStat(stat))),
    memoryUsedMib: own === undefined ? undefined : mib(own + largest(files) + largest(shared)),
    memoryPeakMib: mib(peaks),
    readBytes: countOf(io('read_bytes')),
    writtenBytes: countOf(io('write_bytes')),
    threads: sum(of('Threads')),
  }
}

/** Process ids in `/proc/PID/task/TID/children` or `cgroup.procs`. */
export function parsePids(text: string): readonly number[] {
  return text.split(/\s+/).flatMap((word) => (/^[1-9]\d{0,9}$/.test(word) ? [Number(word)] : []))
}
