import type {
  DeviceSample,
  NodeSample,
  Reading,
  TaskSample,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import type { ExecutionKey } from '../../core/keys.ts'
import type { TracedStretches } from '../../core/telemetry/counters.ts'
import type {
  DeviceReading,
  NodeReading,
  ReadingSource,
  TaskReading,
} from '../../core/telemetry/readings.ts'

const whole = (value: number | undefined): bigint | undefined =>
  value === undefined ? undefined : BigInt(Math.trunc(value))

const readingOf = (source: ReadingSource, ageMs: number): Reading => ({
  source,
  ageMs: BigInt(Math.max(0, Math.round(ageMs))),
})

/** A reading of a node for the wire. */
export function nodeSample(nodeId: string, reading: NodeReading): NodeSample {
  return {
    nodeId,
    reading: readingOf(reading.source, 0),
    cpuUsTotal: whole(reading.cpuUs),
    memoryUsedMib: whole(reading.memoryUsedMib),
    memoryTotalMib: whole(reading.memoryTotalMib),
    cpuPressureUsTotal: whole(reading.cpuPressureUs),
    memoryPressureUsTotal: whole(reading.memoryPressureUs),
    ioPressureUsTotal: whole(reading.ioPressureUs),
  }
}

/** Whose sample it is. */
export interface SampledTask {
  readonly key: ExecutionKey
  readonly tenant: string
}

/** What is told of a task at once, from one source. */
export interface TaskFacts {
  readonly reading: TaskReading
  readonly trace?: TracedStretches | undefined
  readonly step?: number
  readonly ageMs?: number
}

/** A reading of a task for the wire. */
export function taskSample(nodeId: string, task: SampledTask, facts: TaskFacts): TaskSample {
  const { reading, trace, step, ageMs = 0 } = facts
  const { jobId, gang, generation, rank } = task.key
  return {
    ...{ jobId, gang, generation, rank, tenant: task.tenant, nodeId },
    reading: readingOf(reading.source, ageMs),
    cpuUsTotal: whole(reading.cpuUs),
    memoryUsedMib: whole(reading.memoryUsedMib),
    memoryPeakMib: whole(reading.memoryPeakMib),
    readBytesTotal: whole(reading.readBytes),
    writtenBytesTotal: whole(reading.writtenBytes),
    threads: reading.threads,
    step: whole(step),
    cpuTrace: trace && { stretchUs: [...trace.stretchUs], cpuUs: [...trace.cpuUs] },
  }
}

/** A reading of a device for the wire. */
export function deviceSample(nodeId: string, reading: DeviceReading, ageMs: number): DeviceSample {
  return {
    nodeId,
    deviceIndex: reading.index,
    model: reading.model,
    reading: readingOf(reading.source, ageMs),
    busyPct: reading.busyPct,
    memoryUsedMib: whole(reading.memoryUsedMib),
    memoryTotalMib: whole(reading.memoryTotalMib),
    powerWatts: reading.powerWatts,
    energyMjTotal: whole(reading.energyMj),
    temperatureCelsius: reading.temperatureCelsius,
    healthy: reading.healthy,
  }
}
