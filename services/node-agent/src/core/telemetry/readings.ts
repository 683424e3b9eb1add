/** Where a number comes from: a part of what it means. */
export type ReadingSource =
  | 'cgroup-v1'
  | 'cgroup-v2'
  | 'procfs'
  | 'psi'
  | 'nvidia-smi'
  | 'dcgm'
  | 'npu-smi'
  | 'rocm-smi'
  | 'report'

/** What one source says of a node. What it does not say is absent, never 0. */
export interface NodeReading {
  readonly source: ReadingSource
  /** CPU time of all cores that was not idle, microseconds since the boot. */
  readonly cpuUs?: number | undefined
  /** Without what can be reclaimed, MiB. */
  readonly memoryUsedMib?: number | undefined
  readonly memoryTotalMib?: number | undefined
  /** Time in which some task waited, microseconds since the boot. */
  readonly cpuPressureUs?: number | undefined
  readonly memoryPressureUs?: number | undefined
  readonly ioPressureUs?: number | undefined
}

/** What one source says of a task. What it does not say is absent, never 0. */
export interface TaskReading {
  readonly source: ReadingSource
  /** CPU time since its start, microseconds. */
  readonly cpuUs?: number | undefined
  readonly memoryUsedMib?: number | undefined
  readonly memoryPeakMib?: number | undefined
  /** Bytes from and to disks since its start. */
  readonly readBytes?: number | undefined
  readonly writtenBytes?: number | undefined
  /** Processes and threads. */
  readonly threads?: number | undefined
}

/** What one tool says of a device. What it does not say is absent, never 0. */
export interface DeviceReading {
  readonly source: ReadingSource
  /** Number that the tool gives it. */
  readonly index: number
  readonly model: string
  /** Part of the time in which it was busy, 0 to 100. */
  readonly busyPct?: number | undefined
  readonly memoryUsedMib?: number | undefined
  readonly memoryTotalMib?: number | undefined
  readonly powerWatts?: number | undefined
  /** Since its driver started, millijoules. */
  readonly energyMj?: number | undefined
  readonly temperatureCelsius?: number | undefined
  /** False when the tool reports a fault. */
  readonly healthy?: boolean | undefined
}

/** Devices with more do not exist: what is above is a marker for "blank", MiB. */
const MEMORY_MAX_MIB = 10_000_000
/** One board, W. */
const POWER_MAX_WATTS = 10_000

/** A decimal number that stands alone; undefined for anything else, `N/A` and `-` among it. */
export function numberOf(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? ''
  if (!/^-?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,3})?$/.test(trimmed)) return undefined
  const value = Number(trimmed)
  return Number.isFinite(value) ? value : undefined
}

/** The value, or undefined outside of the range. */
function within(
  value: number | undefined,
  { min = 0, max }: { min?: number; max: number },
): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined
}

/** A counter or a count: whole, from 0, exact. */
export const countOf = (value: number | undefined): number | undefined => {
  const whole = value === undefined ? undefined : Math.floor(value)
  return within(whole, { max: Number.MAX_SAFE_INTEGER })
}

/** The same reading without what cannot be: a number out of range is not known. */
export function plausible(reading: DeviceReading): DeviceReading {
  const { busyPct, memoryUsedMib, memoryTotalMib, powerWatts, energyMj } = reading
  const total = within(countOf(memoryTotalMib), { min: 1, max: MEMORY_MAX_MIB })
  const used = within(countOf(memoryUsedMib), { max: total ?? MEMORY_MAX_MIB })
  return {
    ...reading,
    busyPct: within(busyPct, { max: 100 }),
    memoryUsedMib: used,
    memoryTotalMib: total,
    powerWatts: within(powerWatts, { max: POWER_MAX_WATTS }),
    energyMj: countOf(energyMj),
    temperatureCelsius: within(reading.temperatureCelsius, { min: -50, max: 200 }),
  }
}
