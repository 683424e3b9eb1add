import { openSync, writeSync } from 'node:fs'
import { EXIT, messageOf, WorkloadError } from './errors.ts'

/** Rank 0, at most every 500 ms: how far the training is. */
export interface ProgressLine {
  readonly kind: 'progress'
  /** Steps done, counted over all generations; 1 to `totalSteps`. */
  readonly step: number
  readonly totalSteps: number
  /** Mean cross-entropy of the step's rows in nats, before its update. */
  readonly loss: number
  /** Wall clock, milliseconds since 1970. */
  readonly atMs: number
}

/** Rank 0, after the checkpoint file is durable. */
export interface CheckpointLine {
  readonly kind: 'checkpoint'
  /** Steps that the checkpoint contains. */
  readonly step: number
  /** Absolute path, `<checkpoint dir>/gen-<generation>/step-<step>.ckpt`. */
  readonly path: string
  readonly bytes: number
  /** `sha256:` and the hexadecimal digest of the whole file. */
  readonly digest: string
  /** Id of the notice that it was written for. */
  readonly notice?: string
}

/** Rank 0, once, at the end. */
export interface ResultLine {
  readonly kind: 'result'
  readonly metrics: {
    /** Share of the last 360 rows that were classified rightly, 0 to 1. */
    readonly accuracy: number
    /** Steps done, counted over all generations. */
    readonly steps: number
    /** Mean cross-entropy of the last step in nats; absent when nothing was left to do. */
    readonly loss?: number
  }
  /** `sha256:` and the hexadecimal digest of all parameters as 64-bit little-endian floats. */
  readonly parametersDigest: string
}

/** Every rank, after each step, into the journal file; for tests. */
export interface JournalLine {
  readonly kind: 'journal'
  readonly step: number
  readonly rank: number
  readonly generation: number
  /** Wall clock, milliseconds since 1970. */
  readonly atMs: number
}

/** A line of the file named by `SAI_REPORT`. */
export type ReportLine = ProgressLine | CheckpointLine | ResultLine

/** Appends a line; does nothing when no file was asked for. */
export type AppendLine<Line> = (line: Line) => void

/**
 * Opens a JSON-lines file for appending. Each line is one write of an O_APPEND descriptor, so
 * lines of several processes never mix, and a reader sees at most one unfinished line: the last.
 * @param file undefined: nothing is written
 * @throws WorkloadError 74 when the file cannot be opened or a line not be written whole
 */
export function openLines<Line>(file: string | undefined): AppendLine<Line> {
  if (file === undefined) return () => undefined
  const failed = (error: unknown) =>
    new WorkloadError(EXIT.ioError, `cannot write ${file}: ${messageOf(error)}`, { cause: error })
  let descriptor: number
  try {
    descriptor = openSync(file, 'a')
  } catch (error) {
    throw failed(error)
  }
  return (line) => {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    let written: number
    try {
      written = writeSync(descriptor, bytes)
    } catch (error) {
      throw failed(error)
    }
    if (written !== bytes.length) throw failed(new Error('the disk is full'))
  }
}
