import { type DeviceReading, numberOf, plausible } from './readings.ts'

/** What `nvidia-smi` is asked for; units by `nvidia-smi --help-query-gpu`: percent, MiB, W, °C. */
export const NVIDIA_SMI_FIELDS = [
  'index',
  'uuid',
  'name',
  'utilization.gpu',
  'memory.used',
  'memory.total',
  'power.draw',
  'temperature.gpu',
] as const

/** A fault, not a value that this model does not have (`[N/A]`, `[Not Supported]`). */
const FAULT = /ERR!|Unknown Error|GPU is lost|reset required/i

/**
 * Reads `nvidia-smi --query-gpu=… --format=csv,noheader,nounits` with {@link NVIDIA_SMI_FIELDS}.
 * Lines that are no devices (warnings) are left out. With MIG the board does not know how busy it
 * is.
 */
export function parseNvidiaSmiReadings(output: string): DeviceReading[] {
  return output.split('\n').flatMap((line): DeviceReading[] => {
    const cells = line.split(',').map((cell) => cell.trim())
    const [index, uuid = '', ...rest] = cells
    if (index === undefined || !/^\d{1,4}$/.test(index) || rest.length < 6) return []
    // A name may hold a comma.
    const name = rest.slice(0, -5).join(', ')
    const [busy, used, total, power, temperature] = rest.slice(-5)
    const fault = [uuid, name, total ?? ''].some((cell) => FAULT.test(cell))
    return [
      plausible({
        source: 'nvidia-smi',
        index: Number(index),
        model: FAULT.test(name) || name === '' ? 'NVIDIA (unknown)' : name,
        busyPct: numberOf(busy),
        memoryUsedMib: numberOf(used),
        memoryTotalMib: numberOf(total),
        powerWatts: numberOf(power),
        temperatureCelsius: numberOf(temperature),
        healthy: !fault,
      }),
    ]
  })
}
