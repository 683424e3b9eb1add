import { digestOf } from '../core/histogram.ts'
import type { DeviceUsage, Measured, TaskUsage } from '../core/messages.ts'
import { periodOfBursts } from '../core/signal/period.ts'
import { gridOf, type TracePoint } from '../core/signal/trace.ts'

/** CPU traces are kept for so long, µs. */
const TRACE_KEPT_US = 60_000_000

/** A sample of a task, as far as it matters here. */
export interface TaskReading {
  readonly atMs: number
  readonly source: string
  /** Counter. */
  readonly cpuUs?: number
  readonly memoryMib?: number
  /** Stretches that end at the sample, with the CPU time in each. */
  readonly trace?: readonly (readonly [stretchUs: number, cpuUs: number])[]
}

export interface DeviceReading {
  readonly atMs: number
  readonly source: string
  readonly busyPct?: number
  readonly memoryMib?: number
}

const measured = (values: readonly number[], source: string): Measured | undefined =>
  values.length === 0 ? undefined : { digest: digestOf(values), source }

const present = <T>(name: string, value: T | undefined) =>
  value === undefined ? {} : { [name]: value }

/** Longest distance of two samples between which a mean says anything, ms. */
const APART_MAX_MS = 10_000

/** What gathers of one task between two records. */
export class TaskWindow {
  /** Counter of CPU time at the newest sample that had one. */
  #last: { readonly atMs: number; readonly cpuUs: number } | undefined
  #fromMs = 0
  #toMs = 0
  #source = ''
  #cpu: number[] = []
  #memory: number[] = []
  #trace: TracePoint[] = []
  /** Monotonic times of its first and newest sample, and of its last record, ms. */
  readonly bornMs: number
  heardMs = 0
  drainedMs = 0

  constructor(bornMs: number) {
    this.bornMs = bornMs
  }

  take(reading: TaskReading, heardMs: number): void {
    this.heardMs = heardMs
    const { atMs, cpuUs, memoryMib, source } = reading
    if (this.#fromMs === 0) this.#fromMs = atMs
    this.#toMs = Math.max(this.#toMs, atMs)
    if (memoryMib !== undefined) this.#memory.push(memoryMib)
    if (this.#source === '') this.#source = source
    this.#follow(reading)
    if (cpuUs === undefined) return
    this.#source = source
    const last = this.#last
    this.#last = { atMs, cpuUs }
    const apartMs = atMs - (last?.atMs ?? atMs)
    if (last === undefined || apartMs <= 0 || apartMs > APART_MAX_MS) return
    // Microseconds for each millisecond are thousandths of a core.
    this.#cpu.push(Math.max(0, cpuUs - last.cpuUs) / apartMs)
  }

  #follow({ atMs, trace }: TaskReading): void {
    if (trace === undefined || trace.length === 0) return
    const lengthUs = trace.reduce((sum, [stretchUs]) => sum + stretchUs, 0)
    let endUs = atMs * 1_000 - lengthUs
    for (const [stretchUs, cpuUs] of trace) {
      endUs += stretchUs
      this.#trace.push({ endUs, stretchUs, cpuUs })
    }
    const fromUs = atMs * 1_000 - TRACE_KEPT_US
    const first = this.#trace.findIndex((point) => point.endUs >= fromUs)
    if (first > 0) this.#trace = this.#trace.slice(first)
  }

  /** What gathered, for the record; undefined = nothing. */
  drain(
    key: Pick<TaskUsage, 'jobId' | 'gang' | 'generation' | 'rank' | 'nodeId'>,
    nowMs: number,
  ): TaskUsage | undefined {
    this.drainedMs = nowMs
    if (this.#toMs <= this.#fromMs || this.#cpu.length + this.#memory.length === 0) return undefined
    const source = this.#source
    const usage: TaskUsage = {
      ...key,
      fromMs: this.#fromMs,
      toMs: this.#toMs,
      ...present('cpu', measured(this.#cpu, source)),
      ...present('memory', measured(this.#memory, source)),
      ...present('bursts', key.rank === 0 ? this.#bursts(source) : undefined),
    }
    this.clear()
    return usage
  }

  #bursts(source: string): TaskUsage['bursts'] {
    if (this.#trace.length === 0) {
      // Samples a second apart show a burst of a tenth as one of ten: they tell no period.
      const { length: samples } = this.#cpu
      const nothing = { periodUs: 0, lowUs: 0, highUs: 0, samples, spanMs: 0, source }
      return { ...nothing, unknown: 'TOO_COARSE' }
    }
    return periodOfBursts(gridOf(this.#trace), source)
  }

  /** Begins the next stretch. */
  clear(): void {
    this.#fromMs = this.#toMs
    this.#cpu = []
    this.#memory = []
  }
}

/** What gathers of one device between two records. */
export class DeviceWindow {
  #fromMs = 0
  #toMs = 0
  #source = ''
  #busy: number[] = []
  #memory: number[] = []
  readonly bornMs: number
  heardMs = 0
  drainedMs = 0

  constructor(bornMs: number) {
    this.bornMs = bornMs
  }

  take(reading: DeviceReading, heardMs: number): void {
    this.heardMs = heardMs
    if (this.#fromMs === 0) this.#fromMs = reading.atMs
    this.#toMs = reading.atMs
    this.#source = reading.source
    if (reading.busyPct !== undefined) this.#busy.push(reading.busyPct)
    if (reading.memoryMib !== undefined) this.#memory.push(reading.memoryMib)
  }

  drain(key: Pick<DeviceUsage, 'nodeId' | 'index'>, nowMs: number): DeviceUsage | undefined {
    this.drainedMs = nowMs
    if (this.#busy.length + this.#memory.length === 0) return undefined
    const usage: DeviceUsage = {
      ...key,
      fromMs: this.#fromMs,
      toMs: this.#toMs,
      ...present('busy', measured(this.#busy, this.#source)),
      ...present('memory', measured(this.#memory, this.#source)),
    }
    this.clear()
    return usage
  }

  clear(): void {
    this.#fromMs = this.#toMs
    this.#busy = []
    this.#memory = []
  }
}
