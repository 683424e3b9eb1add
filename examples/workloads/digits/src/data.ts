import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { EXIT, messageOf, systemCode, WorkloadError } from './errors.ts'

export const PIXELS = 64
export const CLASSES = 10
/** Rows before this one train, the rest test: the split that the literature uses. */
export const TRAIN_ROWS = 1437
const ROWS = 1797
const PIXEL_MAX = 16

/** Rows of one part of the data set. */
export interface Rows {
  readonly count: number
  /** `count × 64`, row by row, each pixel 0 to 1. */
  readonly pixels: Float64Array
  /** `count` classes, 0 to 9. */
  readonly labels: Uint8Array
}

export interface Digits {
  readonly train: Rows
  readonly test: Rows
  /** SHA-256 of the file, hexadecimal; part of what a checkpoint was trained on. */
  readonly digest: string
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    const code = systemCode(error) === 'ENOENT' ? EXIT.noInput : EXIT.ioError
    throw new WorkloadError(code, `data file ${file}: ${messageOf(error)}`, { cause: error })
  }
}

function unpack(file: string, packed: Buffer): string {
  try {
    // 16 MiB is sixty times the real size: a wrong file is refused before it fills the memory.
    return gunzipSync(packed, { maxOutputLength: 16 * 1024 * 1024 }).toString('latin1')
  } catch (error) {
    throw new WorkloadError(EXIT.badData, `data file ${file}: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * Reads the gzipped CSV: 1,797 rows of 64 pixels (0 to 16) and the class (0 to 9).
 * @throws WorkloadError 66 when the file is missing, 65 when it is not such a CSV.
 */
export function loadDigits(file: string): Digits {
  const packed = read(file)
  const lines = unpack(file, packed).trim().split('\n')
  const bad = (what: string) => new WorkloadError(EXIT.badData, `data file ${file}: ${what}`)
  if (lines.length !== ROWS) throw bad(`want ${ROWS} rows, found ${lines.length}`)
  const pixels = new Float64Array(ROWS * PIXELS)
  const labels = new Uint8Array(ROWS)
  for (const [row, line] of lines.entries()) {
    const cells = line.trim().split(',')
    const numbers = cells.map(Number)
    const label = numbers[PIXELS] ?? -1
    const inRange = numbers.every((n) => Number.isInteger(n) && n >= 0 && n <= PIXEL_MAX)
    if (cells.length !== PIXELS + 1 || !inRange || label >= CLASSES) {
      throw bad(`row ${row + 1} is not 64 pixels (0 to 16) and a class (0 to 9)`)
    }
    for (let i = 0; i < PIXELS; i++) pixels[row * PIXELS + i] = numbers[i]! / PIXEL_MAX
    labels[row] = label
  }
  const part = (from: number, to: number): Rows => ({
    count: to - from,
    pixels: pixels.subarray(from * PIXELS, to * PIXELS),
    labels: labels.subarray(from, to),
  })
  return {
    train: part(0, TRAIN_ROWS),
    test: part(TRAIN_ROWS, ROWS),
    digest: createHash('sha256').update(packed).digest('hex'),
  }
}
