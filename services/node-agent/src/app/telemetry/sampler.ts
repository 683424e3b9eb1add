import type { Clock, Timer, Timers } from '@serverless-ai/kernel'
import type { TelemetrySender } from '@serverless-ai/telemetry-bus'
import { deviceSample, nodeSample, taskSample } from '../../adapters/grpc/samples.ts'
import { keyText } from '../../core/keys.ts'
import type { Report } from '../../core/outbox.ts'
import { type RunningTask, stepOf } from '../../core/running.ts'
import { CpuTrace, type TracedStretches } from '../../core/telemetry/counters.ts'
import type { DeviceReading, TaskReading } from '../../core/telemetry/readings.ts'
import type { MachineReadings } from './machine-readings.ts'

/** A node without tasks is measured so many times less often. */
const IDLE_TIMES = 10
/** Distance of the CPU times of a trace, ms: to wake up is what a trace costs. */
const STRETCH_MS = 100
/** A task is traced for so long at first, then for a part of each round. */
const TRACED_FIRST_MS = 45_000
const TRACE_ROUND_MS = 120_000
const TRACED_MS = 20_000
/** Who uses less, in cores, for so long has no bursts; later on, none that are worth their cost. */
const CALM_MS = 10_000
const FIRST_FROM_CORES = 0.02
const TRACE_FROM_CORES = 0.2

/** What measuring needs. */
export interface SamplerOptions {
  readonly nodeId: string
  /** Time between two samples, ms. */
  readonly periodMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly machine: MachineReadings
  readonly sender: Pick<TelemetrySender, 'add' | 'flush'>
}

interface Watched {
  readonly task: RunningTask
  readonly sinceMs: number
  readonly trace: CpuTrace
  traced: boolean
  /** For how long it was traced so far. */
  tracedMs: number
  /** When it used enough to be traced; -Infinity = never. */
  busyMs: number
  /** CPU time at the sample before, microseconds. */
  before: { readonly atMs: number; readonly cpuUs: number } | undefined
  step: { readonly value: number; readonly atMs: number; readonly told: boolean } | undefined
}

/**
 * Measures the node and its tasks at a steady pace. Counters come as they are: a sample that is
 * lost costs detail, never a sum.
 */
export class Sampler {
  private readonly options: SamplerOptions
  private readonly watched = new Map<string, Watched>()
  private timer: Timer | undefined
  private tracing: Timer | undefined
  private stopped = false

  constructor(options: SamplerOptions) {
    this.options = options
    this.arm(options.periodMs)
  }

  /** All tasks that run. Others are not measured any more. */
  watch(tasks: readonly RunningTask[]): void {
    const { clock, machine, periodMs } = this.options
    const wanted = new Map(tasks.map((task) => [keyText(task.key), task]))
    for (const [text, { task }] of this.watched) {
      if (wanted.get(text)?.pid === task.pid) continue
      this.watched.delete(text)
      machine.forget(task.pid)
    }
    const idle = this.watched.size === 0
    for (const [text, task] of wanted) {
      if (this.watched.has(text)) continue
      const sinceMs = clock.monotonicMs()
      const busyMs = Number.NEGATIVE_INFINITY
      const rest = { traced: false, tracedMs: 0, busyMs, before: undefined, step: undefined }
      this.watched.set(text, { task, sinceMs, trace: new CpuTrace(), ...rest })
    }
    if (idle && this.watched.size > 0) this.arm(periodMs)
  }

  /** What tasks reported, on its way to the pool manager. */
  onReport({ taskReports }: Report): void {
    const atMs = this.options.clock.monotonicMs()
    for (const { key, json } of taskReports) {
      const watched = this.watched.get(keyText(key))
      const value = watched === undefined ? undefined : stepOf(json)
      if (watched === undefined || value === undefined || watched.step?.value === value) continue
      watched.step = { value, atMs, told: false }
    }
  }

  /** What a tool found. */
  onDevices(readings: readonly DeviceReading[], ageMs: number): void {
    const { nodeId, sender } = this.options
    for (const reading of readings) {
      sender.add({ $case: 'device', value: deviceSample(nodeId, reading, ageMs) })
    }
  }

  stop(): void {
    this.stopped = true
    this.timer?.cancel()
    this.tracing?.cancel()
  }

  private arm(inMs: number): void {
    this.timer?.cancel()
    if (this.stopped) return
    this.timer = this.options.timers.after(inMs, () => this.sample())
  }

  private sample(): void {
    const { clock, periodMs, machine, nodeId, sender } = this.options
    const startMs = clock.monotonicMs()
    for (const watched of this.watched.values()) this.sampleTask(watched)
    for (const reading of machine.node()) {
      sender.add({ $case: 'node', value: nodeSample(nodeId, reading) })
    }
    sender.flush()
    this.armTrace()
    const wanted = this.watched.size === 0 ? IDLE_TIMES * periodMs : periodMs
    this.arm(Math.max(0, wanted - (clock.monotonicMs() - startMs)))
  }

  private sampleTask(watched: Watched): void {
    const { clock, machine, nodeId, sender } = this.options
    const { task, step } = watched
    for (const reading of machine.task(task.pid)) {
      const trace = this.traceOf(watched, reading)
      const value = taskSample(nodeId, task, { reading, trace })
      sender.add({ $case: 'task', value })
    }
    if (step === undefined || step.told) return
    watched.step = { ...step, told: true }
    const ageMs = clock.monotonicMs() - step.atMs
    const facts = { reading: { source: 'report' } as const, step: step.value, ageMs }
    sender.add({ $case: 'task', value: taskSample(nodeId, task, facts) })
  }

  /** The stretches since the sample before, and whether there shall be any until the next one. */
  private traceOf(watched: Watched, { cpuUs }: TaskReading): TracedStretches | undefined {
    if (cpuUs === undefined) return undefined
    const atMs = this.options.clock.monotonicMs()
    const { before, trace, sinceMs } = watched
    const taken = watched.traced ? trace.take(atMs * 1000, cpuUs) : undefined
    watched.before = { atMs, cpuUs }
    const stretchMs = before === undefined ? 0 : atMs - before.atMs
    const cores = before === undefined ? 0 : (cpuUs - before.cpuUs) / 1000 / stretchMs
    if (watched.traced) watched.tracedMs += stretchMs
    const first = watched.tracedMs < TRACED_FIRST_MS
    const inRound = first || (atMs - sinceMs) % TRACE_ROUND_MS < TRACED_MS
    // Bursts that are seconds apart are bursts, too.
    if (cores >= (first ? FIRST_FROM_CORES : TRACE_FROM_CORES)) watched.busyMs = atMs
    const traced = inRound && atMs - watched.busyMs < CALM_MS
    if (!traced) trace.stop()
    else if (!watched.traced) trace.take(atMs * 1000, cpuUs)
    watched.traced = traced
    return taken
  }

  private armTrace(): void {
    const any = [...this.watched.values()].some(({ traced }) => traced)
    if (this.stopped || !any || this.tracing !== undefined) return
    this.tracing = this.options.timers.after(STRETCH_MS, () => {
      this.tracing = undefined
      this.traceOnce()
      this.armTrace()
    })
  }

  private traceOnce(): void {
    const { clock, machine } = this.options
    for (const { task, trace, traced } of this.watched.values()) {
      if (!traced) continue
      const cpuUs = machine.cpuUs(task.pid)
      if (cpuUs !== undefined) trace.add(clock.monotonicMs() * 1000, cpuUs)
    }
  }
}
