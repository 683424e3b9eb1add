import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { basename } from 'node:path'
import {
  type CheckpointPlace,
  LINES_START,
  type LinesPosition,
  passedOn,
  problemOfLine,
  type ReportLine,
  takeLines,
} from '../../core/lines.ts'

/** Most of a report file that is passed on, bytes; the rest is dropped with a note. */
const REPORT_FILE_MAX_BYTES = 16 * 1024 * 1024
/** Read at once, bytes: above the longest line. */
const CHUNK_BYTES = 128 * 1024
/** Lines that are not used and said so, of one file; more would only repeat themselves. */
const PROBLEMS_MAX = 5

/**
 * Follows the report file of a task. The task owns the file and its folder, so nothing about it is
 * trusted: links, pipes and files of another owner are not read.
 */
export class ReportTail {
  private readonly path: string
  private readonly uid: number | undefined
  private readonly checkpoints: CheckpointPlace
  private position: LinesPosition = LINES_START
  private offered: LinesPosition = LINES_START
  /** Bytes looked at: an unfinished line there is looked at again only when it grew. */
  private examinedBytes = 0
  private ended = false
  private checked: LinesPosition = LINES_START
  private problemsTold = 0

  /** @param init its path, its owner, and the checkpoint directory of the job */
  constructor(init: { path: string; uid: number | undefined; checkpointDir: string }) {
    this.path = init.path
    this.uid = init.uid
    const { checkpointDir } = init
    this.checkpoints = { directories: namesOf(checkpointDir), name: basename(checkpointDir) }
  }

  /** The task has ended: nothing will be appended. */
  end(): void {
    this.ended = true
  }

  /** True when there is something after what was acknowledged. */
  hasMore(): boolean {
    if (this.position.offset >= REPORT_FILE_MAX_BYTES) return false
    const done = this.ended ? this.position.offset : this.examinedBytes
    return this.withFile((_fd, bytes) => bytes > done, false)
  }

  /** True when there is something after what was offered last. */
  hasUnoffered(): boolean {
    if (this.offered.offset >= REPORT_FILE_MAX_BYTES) return false
    return this.withFile((_fd, bytes) => bytes > this.offered.offset, false)
  }

  /** Lines after the acknowledged ones. Call {@link accept} when they are acknowledged. */
  offer(): readonly ReportLine[] {
    const from = this.position
    if (from.offset >= REPORT_FILE_MAX_BYTES) return []
    const { lines, next } = this.withFile((fd) => {
      const buffer = new Uint8Array(CHUNK_BYTES)
      const length = readSync(fd, buffer, 0, CHUNK_BYTES, from.offset)
      this.examinedBytes = from.offset + length
      const atEnd = this.ended && length < CHUNK_BYTES
      return takeLines(from, buffer.subarray(0, length), atEnd)
    }, NOTHING(from))
    this.offered = next
    const used = lines.flatMap(({ line, json }) => {
      const passed = passedOn(json, this.checkpoints)
      return passed === undefined ? [] : [{ line, json: passed }]
    })
    if (next.offset < REPORT_FILE_MAX_BYTES) return used
    const message = `reports after the first ${next.offset} bytes are dropped`
    return [...used, { line: next.line + 1, json: JSON.stringify({ kind: 'note', message }) }]
  }

  /** What was offered last is acknowledged. */
  accept(): void {
    this.position = this.offered
  }

  /**
   * What is wrong with lines that were not looked at before, a sentence each: their writer is to
   * know. Independent of what was offered.
   *
   * @param atEnd nothing will be appended: a last line without a newline counts.
   */
  problems(atEnd: boolean): readonly string[] {
    const found: string[] = []
    while (this.problemsTold < PROBLEMS_MAX && this.checked.offset < REPORT_FILE_MAX_BYTES) {
      const from = this.checked
      const { lines, next } = this.withFile((fd, bytes) => {
        if (bytes <= from.offset) return NOTHING(from)
        const buffer = new Uint8Array(CHUNK_BYTES)
        const length = readSync(fd, buffer, 0, CHUNK_BYTES, from.offset)
        return takeLines(from, buffer.subarray(0, length), atEnd && length < CHUNK_BYTES)
      }, NOTHING(from))
      if (next.offset === from.offset) break
      this.checked = next
      for (const { line, json } of lines) {
        const problem = problemOfLine(json, this.checkpoints)
        if (problem === undefined || this.problemsTold >= PROBLEMS_MAX) continue
        this.problemsTold += 1
        found.push(`line ${line} of SAI_REPORT is not used: ${problem}`)
      }
    }
    return found
  }

  private withFile<T>(use: (fd: number, bytes: number) => T, missing: T): T {
    let fd: number
    try {
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      fd = openSync(this.path, flags)
    } catch {
      return missing
    }
    try {
      const stats = fstatSync(fd)
      const owned = this.uid === undefined || stats.uid === this.uid
      return stats.isFile() && owned && stats.nlink === 1 ? use(fd, stats.size) : missing
    } finally {
      closeSync(fd)
    }
  }
}

/** A program may have resolved the links on the way to the directory. */
function namesOf(directory: string): readonly string[] {
  try {
    return [...new Set([directory, realpathSync(directory)])]
  } catch {
    return [directory]
  }
}

const NOTHING = (next: LinesPosition) => ({ lines: [], next })
