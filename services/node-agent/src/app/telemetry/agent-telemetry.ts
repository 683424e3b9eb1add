import type { Clock, Logger, Randomness, Timers, Transport } from '@serverless-ai/kernel'
import { uuidV7 } from '@serverless-ai/kernel'
import { TelemetrySender } from '@serverless-ai/telemetry-bus'
import type { NodeConfig } from '../../core/config.ts'
import type { Report } from '../../core/outbox.ts'
import type { RunningTask } from '../../core/running.ts'
import { type DeviceTool, DeviceWatch } from './device-watch.ts'
import type { MachineReadings } from './machine-readings.ts'
import { Sampler } from './sampler.ts'
import { TelemetryStream } from './stream.ts'

/** What measuring and sending needs. */
export interface AgentTelemetryOptions {
  readonly config: Pick<NodeConfig, 'nodeId' | 'token' | 'telemetryAddress' | 'telemetryPeriodMs'>
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly randomness: Randomness
  readonly logger: Logger
  readonly machine: MachineReadings
  readonly tools: readonly DeviceTool[]
}

/** Measures a node, its tasks and its devices, and sends it over a stream of its own. */
export class AgentTelemetry {
  private readonly sampler: Sampler
  private readonly devices: DeviceWatch
  private readonly stream: TelemetryStream

  constructor(options: AgentTelemetryOptions) {
    const { config, clock, timers, randomness, machine } = options
    const { nodeId, token, telemetryAddress: address, telemetryPeriodMs: periodMs } = config
    this.stream = new TelemetryStream({ ...options, address, token })
    const sender = new TelemetrySender({
      source: `node/${nodeId}`,
      bootId: uuidV7(clock.wallMs(), randomness.bytes(10)),
      bus: this.stream,
      clock,
      timers,
    })
    const sampler = new Sampler({ nodeId, periodMs, clock, timers, machine, sender })
    this.sampler = sampler
    this.devices = new DeviceWatch({
      ...options,
      onReadings: (readings, ageMs) => sampler.onDevices(readings, ageMs),
    })
  }

  /** All tasks that run. */
  watch(tasks: readonly RunningTask[]): void {
    this.sampler.watch(tasks)
  }

  /** What tasks reported. */
  onReport(report: Report): void {
    this.sampler.onReport(report)
  }

  stop(): void {
    this.sampler.stop()
    this.devices.stop()
    this.stream.stop()
  }
}
