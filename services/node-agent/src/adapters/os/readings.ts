import { existsSync, readdirSync } from 'node:fs'
import type { Clock } from '@serverless-ai/kernel'
import type { MachineReadings } from '../../app/telemetry/machine-readings.ts'
import {
  type GroupMount,
  groupDirectory,
  parseCpuacct,
  parseCpuStat,
  parseGroupMounts,
  parsePidCgroup,
  readingOfV1,
  readingOfV2,
} from '../../core/telemetry/cgroup-files.ts'
import { RisingSum } from '../../core/telemetry/counters.ts'
import { eachOnce } from '../../core/telemetry/each-once.ts'
import {
  type ProcessFiles,
  parseMeminfo,
  parsePidStat,
  parsePids,
  parsePressure,
  parseStat,
  processesReading,
} from '../../core/telemetry/proc-files.ts'
import type { NodeReading, TaskReading } from '../../core/telemetry/readings.ts'
import { readText } from './files.ts'

const V2_FILES = [
  'cpu.stat',
  'memory.current',
  'memory.stat',
  'memory.peak',
  'io.stat',
  'pids.current',
] as const
/** Controller of each file of version 1. */
const V1_FILES = {
  'cpuacct.usage': 'cpuacct',
  'memory.usage_in_bytes': 'memory',
  'memory.stat': 'memory',
  'memory.max_usage_in_bytes': 'memory',
  'blkio.throttle.io_service_bytes': 'blkio',
  'pids.current': 'pids',
} as const
/** Processes of one task that are looked at. */
const PROCESSES_MAX = 4_096
/** With more processes they are not looked at many times a second. */
const PROCESSES_QUICK = 16
/** With more threads its processes are looked for no more often than this, ms. */
const MANY_THREADS = 32
const LOOK_AGAIN_MS = 5_000

type Paths = Readonly<Record<string, string>>

/** What is remembered of a task. */
interface Known {
  /** Files of groups that hold nothing but the task, by name. */
  readonly v2: Paths
  readonly v1: Paths
  /** `cgroup.procs` of its group; undefined = its processes are looked for by their parents. */
  readonly procs: string | undefined
  readonly cpu: RisingSum
  readonly read: RisingSum
  readonly written: RisingSum
  peakMib: number
  pids: readonly number[]
  lookedMs: number
  threads: number
}

const present = (paths: Paths): Paths =>
  Object.fromEntries(Object.entries(paths).filter(([, path]) => existsSync(path)))

const texts = (paths: Paths): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, readText(path)]))

/** Processes that a process and its threads have started, and those that they have. */
function childrenOf(root: number): readonly number[] {
  const found = [root]
  for (const pid of found) {
    let threads: readonly string[]
    try {
      threads = readdirSync(`/proc/${pid}/task`)
    } catch {
      continue
    }
    for (const tid of threads) {
      found.push(...parsePids(readText(`/proc/${pid}/task/${tid}/children`) ?? ''))
    }
    if (found.length > PROCESSES_MAX) break
  }
  return found
}

/** This machine: `/proc`, pressure stall information and control groups of both versions. */
export class OsReadings implements MachineReadings {
  readonly #clock: Clock
  readonly #mounts: readonly GroupMount[]
  /** Groups of this process: what is in them is not one task. */
  readonly #own: ReadonlyMap<string, string>
  readonly #known = new Map<number, Known>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#mounts = parseGroupMounts(readText('/proc/self/mountinfo') ?? '')
    this.#own = parsePidCgroup(readText('/proc/self/cgroup') ?? '')
  }

  node(): readonly NodeReading[] {
    const pressure = (name: string) => parsePressure(readText(`/proc/pressure/${name}`) ?? '')
    return eachOnce<NodeReading>([
      {
        source: 'procfs',
        cpuUs: parseStat(readText('/proc/stat') ?? ''),
        ...parseMeminfo(readText('/proc/meminfo') ?? ''),
      },
      {
        source: 'psi',
        cpuPressureUs: pressure('cpu'),
        memoryPressureUs: pressure('memory'),
        ioPressureUs: pressure('io'),
      },
    ])
  }

  task(pid: number): readonly TaskReading[] {
    const known = this.#of(pid)
    const groups = [readingOfV2(texts(known.v2)), readingOfV1(texts(known.v1))]
    const processes = this.#processes(known, pid)
    return eachOnce(processes === undefined ? groups : [...groups, processes])
  }

  cpuUs(pid: number): number | undefined {
    const known = this.#of(pid)
    const [stat, usage] = [known.v2['cpu.stat'], known.v1['cpuacct.usage']]
    if (stat !== undefined) return parseCpuStat(readText(stat) ?? '')
    if (usage !== undefined) return parseCpuacct(readText(usage) ?? '')
    if (known.pids.length > PROCESSES_QUICK) return undefined
    const times = known.pids.map((one) => parsePidStat(readText(`/proc/${one}/stat`) ?? ''))
    if (times.every((time) => time === undefined)) return undefined
    return known.cpu.next(times.reduce<number>((sum, time) => sum + (time ?? 0), 0))
  }

  forget(pid: number): void {
    this.#known.delete(pid)
  }

  #of(pid: number): Known {
    const known = this.#known.get(pid) ?? this.#look(pid)
    this.#known.set(pid, known)
    return known
  }

  #look(pid: number): Known {
    const groups = parsePidCgroup(readText(`/proc/${pid}/cgroup`) ?? '')
    const directory = (controller: string): string | undefined => {
      const path = groups.get(controller)
      if (path === undefined || path === this.#own.get(controller)) return undefined
      return groupDirectory(this.#mounts, controller, path)
    }
    const unified = directory('')
    const of = (at: string | undefined, name: string) =>
      at === undefined ? [] : [[name, `${at}/${name}`] as const]
    const v1 = Object.entries(V1_FILES).flatMap(([name, by]) => of(directory(by), name))
    return {
      v2: present(Object.fromEntries(V2_FILES.flatMap((name) => of(unified, name)))),
      v1: present(Object.fromEntries(v1)),
      procs: unified === undefined ? undefined : `${unified}/cgroup.procs`,
      ...{ cpu: new RisingSum(), read: new RisingSum(), written: new RisingSum() },
      ...{ peakMib: 0, pids: [pid], lookedMs: Number.NEGATIVE_INFINITY, threads: 0 },
    }
  }

  #processes(known: Known, pid: number): TaskReading | undefined {
    const files = this.#pids(known, pid).flatMap((one): ProcessFiles[] => {
      const stat = readText(`/proc/${one}/stat`)
      if (stat === undefined) return []
      return [{ stat, status: readText(`/proc/${one}/status`), io: readText(`/proc/${one}/io`) }]
    })
    const reading = processesReading(files)
    if (reading === undefined) return undefined
    const { cpuUs, memoryUsedMib, memoryPeakMib, readBytes, writtenBytes, threads } = reading
    known.threads = threads ?? 0
    known.peakMib = Math.max(known.peakMib, memoryUsedMib ?? 0, memoryPeakMib ?? 0)
    return {
      ...reading,
      cpuUs: known.cpu.next(cpuUs),
      memoryPeakMib: memoryUsedMib === undefined ? undefined : known.peakMib,
      readBytes: known.read.next(readBytes),
      writtenBytes: known.written.next(writtenBytes),
    }
  }

  #pids(known: Known, pid: number): readonly number[] {
    if (known.procs !== undefined) return parsePids(readText(known.procs) ?? '')
    const nowMs = this.#clock.monotonicMs()
    const old = nowMs - known.lookedMs >= LOOK_AGAIN_MS
    if (old || known.threads <= MANY_THREADS) {
      known.pids = childrenOf(pid)
      known.lookedMs = nowMs
    }
    return known.pids
  }
}
