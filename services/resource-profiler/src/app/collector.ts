import type {
  DeviceSample,
  Sample,
  ServiceLoad,
  TaskSample,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { type Clock, type Logger, RpcError, type Timer, type Timers } from '@serverless-ai/kernel'
import type {
  ReceivedBatch,
  TelemetryBus,
  TelemetrySubscription,
} from '@serverless-ai/telemetry-bus'
import type { ProfilerCommand } from '../core/messages.ts'
import type { ProfilerRuntime } from './definition.ts'
import { LoadCounter } from './load-counter.ts'
import { DeviceWindow, TaskWindow } from './usage-window.ts'

/**
 * How often it is looked what has gathered, ms; also how often a new task or device is recorded.
 */
const GATHER_MS = 4_000
/** For so long one is new, ms; afterwards it is recorded less often. */
const NEW_MS = 60_000
const LATER_MS = 10_000
/** With more tasks and devices each is recorded less often still: the log grows no faster. */
const RATE_FROM = 250
/** Tasks and devices of which nothing came for so long are forgotten, ms. */
const FORGET_MS = 60_000
/** Tasks and devices that are followed; measurements of more are left out and counted. */
const FOLLOWED_MAX = 20_000
/** Tasks and devices in one record. */
const RECORD_MAX = 500

interface Ports {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
}

interface Followed<K, W> {
  readonly key: K
  readonly window: W
}

type TaskKey = Pick<TaskSample, 'jobId' | 'gang' | 'generation' | 'rank' | 'nodeId'>
type DeviceKey = { readonly nodeId: string; readonly index: number }

const numberOf = <N extends string>(name: N, value: bigint | number | undefined) =>
  value === undefined ? {} : ({ [name]: Number(value) } as Partial<Record<N, number>>)

/** Where a sample comes from, and for how long batches before it are missing. */
type Origin = Pick<ReceivedBatch, 'batch' | 'missingMs'>

/**
 * Gathers measurements in memory and records what they come to: aggregates of some seconds, never
 * the measurements themselves. A follower gathers as well, so that it can go on when it leads.
 */
export class Collector {
  readonly #runtime: ProfilerRuntime
  readonly #ports: Ports
  readonly #tasks = new Map<string, Followed<TaskKey, TaskWindow>>()
  readonly #devices = new Map<string, Followed<DeviceKey, DeviceWindow>>()
  readonly #loads = new LoadCounter()
  #timer: Timer | undefined
  #subscription: TelemetrySubscription | undefined
  #leading = false
  #recording = false
  /** Samples of tasks and devices that were not followed: too many of them. */
  overrun = 0

  constructor(runtime: ProfilerRuntime, ports: Ports) {
    this.#runtime = runtime
    this.#ports = ports
    runtime.onLeadership((leading) => {
      this.#leading = leading
    })
  }

  /** Tasks and devices that are followed. */
  get followed(): number {
    return this.#tasks.size + this.#devices.size
  }

  /** Readings of gates that could not be. */
  get rejectedLoads(): number {
    return this.#loads.rejected
  }

  start(bus: TelemetryBus): void {
    this.#subscription = bus.subscribe()
    void this.#read(this.#subscription)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#subscription?.close()
  }

  async #read(batches: TelemetrySubscription): Promise<void> {
    for await (const received of batches) this.take(received)
  }

  /** Takes a batch whose samples were checked by whoever took it in. */
  take(from: Origin): void {
    for (const sample of from.batch.samples) this.#sample(from, sample)
    if (this.#tasks.size + this.#devices.size > 0 || this.#loads.active) this.#arm()
  }

  #sample(from: Origin, { atMs: at, value }: Sample): void {
    const atMs = Number(at)
    switch (value?.$case) {
      case 'task':
        this.#task(value.value, atMs)
        return
      case 'device':
        this.#device(value.value, atMs)
        return
      case 'serviceLoad':
        this.#load(from, value.value, atMs)
        return
      default:
    }
  }

  #task(task: TaskSample, atMs: number): void {
    const { jobId, gang, generation, rank, nodeId } = task
    const name = `${jobId}/${gang}/${generation}/${rank}`
    let followed = this.#tasks.get(name)
    if (followed === undefined) {
      if (this.#isFull()) return
      const key = { jobId, gang, generation, rank, nodeId }
      followed = { key, window: new TaskWindow(this.#ports.clock.monotonicMs()) }
      this.#tasks.set(name, followed)
    }
    const { cpuTrace } = task
    const trace = cpuTrace?.stretchUs.map((us, index) => [us, cpuTrace.cpuUs[index] ?? 0] as const)
    const reading = {
      atMs,
      source: task.reading?.source ?? '',
      ...numberOf('cpuUs', task.cpuUsTotal),
      ...numberOf('memoryMib', task.memoryUsedMib),
      ...(trace === undefined ? {} : { trace }),
    }
    followed.window.take(reading, this.#ports.clock.monotonicMs())
  }

  #device(device: DeviceSample, atMs: number): void {
    const { nodeId, deviceIndex: index } = device
    const name = `${nodeId} ${index}`
    let followed = this.#devices.get(name)
    if (followed === undefined) {
      if (this.#isFull()) return
      const window = new DeviceWindow(this.#ports.clock.monotonicMs())
      followed = { key: { nodeId, index }, window }
      this.#devices.set(name, followed)
    }
    const reading = {
      atMs,
      source: device.reading?.source ?? '',
      ...numberOf('busyPct', device.busyPct),
      ...numberOf('memoryMib', device.memoryUsedMib),
    }
    followed.window.take(reading, this.#ports.clock.monotonicMs())
  }

  #load({ batch, missingMs }: Origin, load: ServiceLoad, atMs: number): void {
    const { source, bootId, seq } = batch
    const { jobId, arrivedTotal, arrivedTokensTotal, inFlight, queued } = load
    const reading = {
      source,
      bootId,
      jobId,
      atMs,
      arrived: Number(arrivedTotal),
      tokens: arrivedTokensTotal === undefined ? undefined : Number(arrivedTokensTotal),
      busy: inFlight + queued > 0,
      begins: seq === 1n,
      missingMs,
    }
    this.#loads.take(reading, this.#ports.clock.wallMs())
  }

  #isFull(): boolean {
    const full = this.followed >= FOLLOWED_MAX
    if (full) this.overrun += 1
    return full
  }

  #arm(): void {
    this.#timer ??= this.#ports.timers.after(GATHER_MS, () => {
      this.#timer = undefined
      void this.#record()
    })
  }

  async #record(): Promise<void> {
    const commands = this.#drain()
    if (this.followed > 0 || this.#loads.active) this.#arm()
    // What a follower gathered is its leader's to record; it only stays up to date.
    if (!this.#leading || this.#recording) {
      this.#lose(commands)
      return
    }
    this.#recording = true
    let done = 0
    try {
      for (const command of commands) {
        await this.#runtime.execute(command)
        done += 1
      }
    } catch (error) {
      this.#lose(commands.slice(done))
      const code = error instanceof RpcError ? error.reason : String(error)
      this.#ports.logger.log('warn', 'measurements could not be recorded', { code })
    } finally {
      this.#recording = false
    }
  }

  /** Load that is not recorded here is unknown later, not nothing. */
  #lose(commands: readonly ProfilerCommand[]): void {
    for (const command of commands) {
      if (command.type === 'RecordLoad') this.#loads.lose(command.rows)
    }
  }

  #drain(): readonly ProfilerCommand[] {
    const due = this.#due()
    const tasks = drained(this.#tasks, due)
    const all = drained(this.#devices, due)
    // Where no task runs, no job uses a device: nothing is recorded of an idle node.
    const devices = tasks.length === 0 ? [] : all
    const commands: ProfilerCommand[] = []
    for (let at = 0; at < Math.max(tasks.length, devices.length); at += RECORD_MAX) {
      const to = at + RECORD_MAX
      const part = { tasks: tasks.slice(at, to), devices: devices.slice(at, to) }
      commands.push({ type: 'RecordUsage', ...part })
    }
    const rows = this.#loads.drain(this.#ports.clock.wallMs())
    if (rows.length > 0) commands.push({ type: 'RecordLoad', rows })
    return commands
  }

  #due(): Due {
    const nowMs = this.#ports.clock.monotonicMs()
    // A little less than whole looks: a timer may ring early.
    const laterMs = LATER_MS * Math.max(1, this.followed / RATE_FROM) - GATHER_MS / 2
    return { nowMs, laterMs }
  }
}

interface Due {
  readonly nowMs: number
  readonly laterMs: number
}

interface Drains<K, U> {
  readonly bornMs: number
  readonly heardMs: number
  readonly drainedMs: number
  drain(key: K, nowMs: number): U | undefined
}

/** What gathered of those whose turn it is; those of which nothing came for long are forgotten. */
function drained<K, U>(all: Map<string, Followed<K, Drains<K, U>>>, due: Due): U[] {
  const { nowMs, laterMs } = due
  const usages: U[] = []
  for (const [name, { key, window }] of all) {
    const isGone = nowMs - window.heardMs > FORGET_MS
    const isDue = nowMs - window.bornMs < NEW_MS || nowMs - window.drainedMs >= laterMs
    const usage = isDue || isGone ? window.drain(key, nowMs) : undefined
    if (usage !== undefined) usages.push(usage)
    if (isGone) all.delete(name)
  }
  return usages
}
