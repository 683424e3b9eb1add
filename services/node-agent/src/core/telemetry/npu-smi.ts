import { type DeviceReading, numberOf, plausible } from './readings.ts'

/** First line of a chip: `| NPU Name | Health | Power(W) Temp(C) Hugepages-Usage(page) |`. */
interface Upper {
  readonly npu: number
  readonly name: string
  readonly health: string
  readonly power: number | undefined
  readonly temperature: number | undefined
}

/** `Warning` is a minor alarm; `UNKNOWN` says nothing. */
const HEALTHY: Readonly<Record<string, boolean>> = {
  OK: true,
  Warning: true,
  Alarm: false,
  Critical: false,
}

function upperOf([first = '', health = '', rest = '']: readonly string[]): Upper | undefined {
  const [, npu, name] = /^(\d{1,6})\s+(\S.*)$/.exec(first) ?? []
  // The second column of a chip is its bus id.
  if (npu === undefined || name === undefined || !/^[A-Za-z]{2,10}$/.test(health)) return undefined
  const [power, temperature] = rest.split(/\s+/)
  return {
    npu: Number(npu),
    name,
    health,
    power: numberOf(power),
    temperature: numberOf(temperature),
  }
}

/** Used and total of `12 / 345`; the last pair is that of the memory that models live in. */
function memoryOf(text: string): readonly [number, number] | undefined {
  const pairs = [...text.matchAll(/(\d{1,9})\s*\/\s*(\d{1,9})/g)]
  const found = pairs.map(([, used, total]) => [Number(used), Number(total)] as const)
  return found.findLast(([, total]) => total > 0)
}

interface Chip {
  readonly upper: Upper
  /** `Device` or `Phy-ID`, where the table has that column. */
  readonly device: number | undefined
  readonly cells: string
}

/** Second line: `| Chip [Device] | Bus-Id | AICore(%) Memory-Usage(MB) [HBM-Usage(MB)] |`. */
function chipOf(upper: Upper, [first = '', , cells = '']: readonly string[]): Chip | undefined {
  const found = /^\d{1,4}(?:\s+(\d{1,4}))?$/.exec(first)
  if (found === null) return undefined
  const [, device] = found
  return { upper, device: device === undefined ? undefined : Number(device), cells }
}

function chipsOf(output: string): readonly Chip[] {
  const chips: Chip[] = []
  let upper: Upper | undefined
  for (const line of output.split('\n')) {
    if (/Process id/i.test(line)) break
    if (!line.trimStart().startsWith('|')) continue
    const columns = line.split('|').slice(1, -1)
    const cells = columns.map((cell) => cell.trim())
    if (cells.length !== 3) continue
    const chip: Chip | undefined = upper === undefined ? undefined : chipOf(upper, cells)
    if (chip !== undefined) chips.push(chip)
    upper = chip === undefined ? upperOf(cells) : undefined
  }
  return chips
}

/**
 * Reads the table of `npu-smi info` (Ascend), which knows no other form; its MB are MiB (an NPU of
 * 64 GiB has 65,536). Of two chips on one NPU only the first tells the power: that of both.
 */
export function parseNpuSmi(output: string): DeviceReading[] {
  const chips = chipsOf(output)
  const npus = chips.map(({ upper }) => upper.npu)
  const unique = new Set(npus).size === npus.length
  return chips.map(({ upper, device, cells }, position) => {
    const memory = memoryOf(cells)
    return plausible({
      source: 'npu-smi',
      index: device ?? (unique ? upper.npu : position),
      model: upper.name,
      busyPct: numberOf(cells.split(/\s+/)[0]),
      memoryUsedMib: memory?.[0],
      memoryTotalMib: memory?.[1],
      powerWatts: upper.power,
      temperatureCelsius: upper.temperature,
      healthy: Object.hasOwn(HEALTHY, upper.health) ? HEALTHY[upper.health] : undefined,
    })
  })
}
