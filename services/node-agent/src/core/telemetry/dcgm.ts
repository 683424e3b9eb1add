import { type DeviceReading, numberOf, plausible } from './readings.ts'

/**
 * Fields of `dcgm-exporter` with the units of its `default-counters.csv`: percent, MiB, W, mJ, °C.
 */
const FIELDS = {
  DCGM_FI_DEV_GPU_UTIL: 'busy',
  DCGM_FI_DEV_FB_USED: 'used',
  DCGM_FI_DEV_FB_FREE: 'free',
  DCGM_FI_DEV_FB_RESERVED: 'reserved',
  DCGM_FI_DEV_FB_TOTAL: 'total',
  DCGM_FI_DEV_POWER_USAGE: 'power',
  DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION: 'energy',
  DCGM_FI_DEV_GPU_TEMP: 'temperature',
  DCGM_FI_DEV_ROW_REMAP_FAILURE: 'remapFailure',
} as const
type Field = (typeof FIELDS)[keyof typeof FIELDS]

interface Board {
  readonly model: string
  /** Of the board, and of each instance (MIG) by its id. */
  readonly whole: Map<Field, number>
  readonly instances: Map<string, Map<Field, number>>
}

const isField = (name: string): name is keyof typeof FIELDS => Object.hasOwn(FIELDS, name)

function labelsOf(text: string): ReadonlyMap<string, string> {
  const found = [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
  return new Map(found.map(([, name = '', value = '']) => [name, value]))
}

function boardsOf(exposition: string): ReadonlyMap<number, Board> {
  const boards = new Map<number, Board>()
  for (const line of exposition.split('\n')) {
    const [, name = '', inner = '', text] = /^(DCGM_\w+)\{(.*)\} (\S+)/.exec(line) ?? []
    const value = numberOf(text)
    if (!isField(name) || value === undefined) continue
    const labels = labelsOf(inner)
    const gpu = labels.get('gpu') ?? ''
    if (!/^\d{1,4}$/.test(gpu)) continue
    const index = Number(gpu)
    const model = labels.get('modelName') ?? 'NVIDIA (unknown)'
    const board = boards.get(index) ?? { model, whole: new Map(), instances: new Map() }
    boards.set(index, board)
    const id = labels.get('GPU_I_ID') ?? ''
    const instance = board.instances.get(id) ?? new Map<Field, number>()
    if (id !== '') board.instances.set(id, instance)
    const into = id === '' ? board.whole : instance
    into.set(FIELDS[name], value)
  }
  return boards
}

/** Memory of the whole board: what is used, what is free, and what the driver keeps. */
function totalOf(whole: ReadonlyMap<Field, number>): number | undefined {
  const [used, free] = [whole.get('used'), whole.get('free')]
  const sum = used === undefined || free === undefined ? undefined : used + free
  const reserved = whole.get('reserved') ?? 0
  return whole.get('total') ?? (sum === undefined ? undefined : sum + reserved)
}

/** Of a value that the exporter repeats for each instance of a board: that of the board. */
function ofBoard({ whole, instances }: Board, field: Field): number | undefined {
  const [first] = instances.values()
  return whole.get(field) ?? first?.get(field)
}

/** Memory in use: that of the board, or of all its instances; what they are not is not known. */
function usedOf({ whole, instances }: Board): number | undefined {
  if (whole.has('used') || instances.size === 0) return whole.get('used')
  let sum = 0
  for (const instance of instances.values()) {
    const used = instance.get('used')
    if (used === undefined) return undefined
    sum += used
  }
  return sum
}

/** Reads the metrics of `dcgm-exporter` (text format of Prometheus). */
export function parseDcgm(exposition: string): DeviceReading[] {
  return [...boardsOf(exposition)].map(([index, board]) => {
    const failed = ofBoard(board, 'remapFailure')
    return plausible({
      source: 'dcgm',
      index,
      model: board.model,
      busyPct: board.whole.get('busy'),
      memoryUsedMib: usedOf(board),
      memoryTotalMib: totalOf(board.whole),
      powerWatts: ofBoard(board, 'power'),
      energyMj: ofBoard(board, 'energy'),
      temperatureCelsius: ofBoard(board, 'temperature'),
      healthy: failed === undefined ? undefined : failed === 0,
    })
  })
}
