import { type DeviceReading, numberOf, plausible } from './readings.ts'

const BYTES_PER_MIB = 1024 * 1024
const UJ_PER_MJ = 1000

/** Names of values; releases differ in upper and lower case, and in what power is called. */
const NAMES = {
  model: ['card series', 'device name', 'card model'],
  busy: ['gpu use (%)'],
  used: ['vram total used memory (b)'],
  total: ['vram total memory (b)'],
  power: ['average graphics package power (w)', 'current socket graphics package power (w)'],
  energy: ['accumulated energy (uj)'],
  temperature: ['temperature (sensor junction) (c)', 'temperature (sensor edge) (c)'],
} as const

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Warnings of the tool stand before the JSON. */
function jsonOf(output: string): unknown {
  const begin = output.indexOf('{')
  try {
    const value: unknown = JSON.parse(begin < 0 ? output : output.slice(begin))
    return value
  } catch {
    return undefined
  }
}

const scaled = (value: number | undefined, by: number): number | undefined =>
  value === undefined ? undefined : value / by

/** The first that is a name: `N/A` and ids (`0x1002`) are none. */
const named = (texts: readonly string[]): string =>
  texts.find((text) => !/^(N\/A|0x[0-9a-f]+|)$/i.test(text)) ?? 'AMD (unknown)'

/**
 * Reads `rocm-smi --showuse --showmeminfo vram --showpower --showtemp --showenergycounter
 * --showproductname --json`. Energy is told in microjoules, memory in bytes.
 */
export function parseRocmSmi(output: string): DeviceReading[] {
  const json = jsonOf(output)
  if (!isRecord(json)) return []
  return Object.entries(json).flatMap(([card, told]): DeviceReading[] => {
    const index = /^card(\d{1,4})$/.exec(card)?.[1]
    if (index === undefined || !isRecord(told)) return []
    const values = new Map(Object.entries(told).map(([key, value]) => [key.toLowerCase(), value]))
    const texts = (names: readonly string[]) => names.map((name) => String(values.get(name) ?? ''))
    const number = (names: readonly string[]) =>
      texts(names)
        .map(numberOf)
        .find((one) => one !== undefined)
    return [
      plausible({
        source: 'rocm-smi',
        index: Number(index),
        model: named(texts(NAMES.model)),
        busyPct: number(NAMES.busy),
        memoryUsedMib: scaled(number(NAMES.used), BYTES_PER_MIB),
        memoryTotalMib: scaled(number(NAMES.total), BYTES_PER_MIB),
        powerWatts: number(NAMES.power),
        energyMj: scaled(number(NAMES.energy), UJ_PER_MJ),
        temperatureCelsius: number(NAMES.temperature),
      }),
    ]
  })
}
