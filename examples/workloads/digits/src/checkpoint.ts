import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { EXIT, messageOf, systemCode, WorkloadError } from './errors.ts'
import type { CheckpointLine } from './report.ts'

/**
 * File format: a first line `SAI-DIGITS-1 sha256:<hex of everything after this line>`, a second
 * line of JSON ({@link Header}), then the parameters and the velocities as 64-bit little-endian
 * floats (the byte order of every platform that Node 24 runs on).
 */
const MAGIC = 'SAI-DIGITS-1'

/** What must agree for a resumed run to end where an undisturbed one would. */
export interface Settings {
  readonly epochs: number
  readonly batch: number
  readonly learningRate: number
  readonly hidden: number
  readonly seed: number
  /** SHA-256 of the data file. */
  readonly data: string
}

interface Header {
  readonly step: number
  readonly generation: number
  readonly runId: string
  readonly settings: Settings
  readonly parameters: number
}

/** Where training stands after `step` steps. */
export interface TrainingState {
  step: number
  readonly parameters: Float64Array
  readonly velocity: Float64Array
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** `sha256:<hex>` of the bytes of a vector. */
export function digestOf(vector: Float64Array): string {
  return `sha256:${sha256(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))}`
}

/** The bytes of a checkpoint file. */
export function encodeCheckpoint(
  state: TrainingState,
  about: Pick<Header, 'generation' | 'runId' | 'settings'>,
): Buffer {
  const header: Header = { step: state.step, ...about, parameters: state.parameters.length }
  const { parameters, velocity } = state
  const body = Buffer.concat([
    Buffer.from(`${JSON.stringify(header)}\n`),
    new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength),
    new Uint8Array(velocity.buffer, velocity.byteOffset, velocity.byteLength),
  ])
  return Buffer.concat([Buffer.from(`${MAGIC} sha256:${sha256(body)}\n`), body])
}

function splitLine(bytes: Buffer): { line: string; rest: Buffer } {
  const end = bytes.indexOf(10)
  if (end < 0) return { line: '', rest: bytes }
  return { line: bytes.toString('utf8', 0, end), rest: bytes.subarray(end + 1) }
}

function floats(bytes: Buffer, from: number, count: number): Float64Array {
  // A copy, because a Float64Array needs an aligned start.
  return new Float64Array(new Uint8Array(bytes.subarray(from * 8, (from + count) * 8)).buffer)
}

/**
 * Reads the bytes of a checkpoint file.
 * @throws WorkloadError 65 when they are damaged, or were written with other settings
 */
export function decodeCheckpoint(file: string, bytes: Buffer, settings: Settings): TrainingState {
  const bad = (what: string) => new WorkloadError(EXIT.badData, `checkpoint ${file}: ${what}`)
  const first = splitLine(bytes)
  const [magic, digest] = first.line.split(' ')
  if (magic !== MAGIC) throw bad(`is not a checkpoint of this program (no ${MAGIC} at its start)`)
  if (digest !== `sha256:${sha256(first.rest)}`) throw bad('is damaged: its digest does not match')
  const { line, rest } = splitLine(first.rest)
  const header: Header = JSON.parse(line)
  for (const [name, want] of Object.entries(settings)) {
    const got = Object.entries(header.settings).find(([key]) => key === name)?.[1]
    if (got !== want) throw bad(`was written with ${name} ${got}, this run has ${want}`)
  }
  const { step, parameters: count } = header
  return { step, parameters: floats(rest, 0, count), velocity: floats(rest, count, count) }
}

/**
 * Loads the checkpoint that the launcher named. There is no search: which checkpoint is the
 * latest is known to the platform alone.
 * @throws WorkloadError 66 when the file is missing, 65 as {@link decodeCheckpoint}
 */
export function loadCheckpoint(file: string, settings: Settings): TrainingState {
  let bytes: Buffer
  try {
    bytes = readFileSync(file)
  } catch (error) {
    const text = `cannot resume from ${file}: ${messageOf(error)}`
    throw new WorkloadError(EXIT.noInput, text, { cause: error })
  }
  return decodeCheckpoint(file, bytes, settings)
}

function fsyncPath(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Checkpoints of one generation under the directory that all generations share. */
export class CheckpointStore {
  readonly #root: string
  readonly #generation: number

  constructor(root: string, generation: number) {
    this.#root = resolve(root)
    this.#generation = generation
  }

  /** @throws WorkloadError 66 when the shared directory is missing or is no directory */
  requireRoot(): void {
    const stat = statSync(this.#root, { throwIfNoEntry: false })
    if (stat?.isDirectory()) return
    const what = stat === undefined ? 'does not exist' : 'is not a directory'
    throw new WorkloadError(EXIT.noInput, `checkpoint directory ${this.#root} ${what}`)
  }

  /**
   * Makes this generation's own directory; from then on every older generation is refused.
   * @throws WorkloadError 76 when a newer generation has made its own
   */
  claim(): void {
    this.#guard(() => {
      this.#refuseWhenSuperseded()
      mkdirSync(this.#folder(), { recursive: true })
      fsyncPath(this.#root)
    })
  }

  /**
   * Writes a checkpoint so that it is either wholly there or not at all, also after a power cut:
   * a temporary file, fsync, rename, fsync of the directory.
   * @returns the line to report
   * @throws WorkloadError 76 when a newer generation exists, 66 when the shared directory went
   *   away, 74 when it cannot be written
   */
  write(state: TrainingState, about: { runId: string; settings: Settings }): CheckpointLine {
    const bytes = encodeCheckpoint(state, { ...about, generation: this.#generation })
    const path = join(this.#folder(), `step-${state.step}.ckpt`)
    const temporary = `${path}.tmp`
    this.#guard(() => {
      this.#refuseWhenSuperseded()
      try {
        writeFileSync(temporary, bytes, { flush: true })
        // Looked at again as late as possible; a platform's registry refuses what slips through.
        this.#refuseWhenSuperseded()
        renameSync(temporary, path)
      } catch (error) {
        rmSync(temporary, { force: true })
        throw error
      }
      fsyncPath(dirname(path))
    })
    const digest = `sha256:${sha256(bytes)}`
    return { kind: 'checkpoint', step: state.step, path, bytes: bytes.length, digest }
  }

  #folder(): string {
    return join(this.#root, `gen-${this.#generation}`)
  }

  #refuseWhenSuperseded(): void {
    const generations = readdirSync(this.#root).map((name) => /^gen-(\d+)$/.exec(name)?.[1])
    const newest = Math.max(...generations.map((text) => Number(text ?? -1)), -1)
    if (newest <= this.#generation) return
    const text = `generation ${this.#generation} is over: ${this.#root} holds generation ${newest}`
    throw new WorkloadError(EXIT.superseded, text)
  }

  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      if (error instanceof WorkloadError) throw error
      const code = systemCode(error) === 'ENOENT' ? EXIT.noInput : EXIT.ioError
      const text = `checkpoint directory ${this.#root}: ${messageOf(error)}`
      throw new WorkloadError(code, text, { cause: error })
    }
  }
}
