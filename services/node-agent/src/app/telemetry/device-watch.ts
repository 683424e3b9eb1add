import type { Clock, Logger, Timer, Timers } from '@serverless-ai/kernel'
import { messageOf } from '../../core/errors.ts'
import type { DeviceReading } from '../../core/telemetry/readings.ts'

/** Pause after a tool failed, ms. */
const FAILED_MS = 60_000

/** A vendor's tool that reads its devices. */
export interface DeviceTool {
  readonly name: string
  /** Time between two answers, ms. */
  readonly everyMs: number
  readonly ask: () => Promise<string>
  readonly parse: (output: string) => readonly DeviceReading[]
  /** True when it may answer with what it read before: as old as the last change. */
  readonly cached?: boolean
}

/** What watching devices needs. */
export interface DeviceWatchOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly logger: Logger
  readonly tools: readonly DeviceTool[]
  /** `ageMs`: how old the readings may be. */
  readonly onReadings: (readings: readonly DeviceReading[], ageMs: number) => void
}

/** Asks the tools of vendors, each at its own pace, one call at a time. */
export class DeviceWatch {
  private readonly options: DeviceWatchOptions
  private readonly timers = new Map<DeviceTool, Timer>()
  private readonly answers = new Map<DeviceTool, { text: string; sinceMs: number }>()
  private stopped = false

  constructor(options: DeviceWatchOptions) {
    this.options = options
    for (const tool of options.tools) void this.look(tool)
  }

  stop(): void {
    this.stopped = true
    for (const timer of this.timers.values()) timer.cancel()
  }

  private async look(tool: DeviceTool): Promise<void> {
    const { clock, timers, logger, onReadings } = this.options
    const startMs = clock.monotonicMs()
    let nextMs = tool.everyMs
    try {
      const text = await tool.ask()
      const nowMs = clock.monotonicMs()
      const known = this.answers.get(tool)
      const sinceMs = known?.text === text ? known.sinceMs : startMs
      this.answers.set(tool, { text, sinceMs })
      const readings = tool.parse(text)
      if (!this.stopped) onReadings(readings, nowMs - (tool.cached === true ? sinceMs : startMs))
    } catch (error) {
      nextMs = FAILED_MS
      logger.log('warn', 'devices cannot be read', { tool: tool.name, problem: messageOf(error) })
    }
    if (this.stopped) return
    this.timers.set(
      tool,
      timers.after(nextMs, () => void this.look(tool)),
    )
  }
}
