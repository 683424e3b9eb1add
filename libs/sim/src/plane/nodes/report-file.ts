/** The report file of a simulated task. */
import { basename } from 'node:path'
import type { Disk } from '@serverless-ai/kernel'
import {
  type CheckpointPlace,
  passedOn,
  problemOfLine,
  type ReportLine,
  type ReportLines,
} from '@serverless-ai/node-agent/parts'

/** A program that cannot write its report waits this long and tries again, ms. */
const RETRY_MS = 1_000

/** Where the report files of a machine are, as its supervisor sees them. */
export interface ReportFilesInit {
  readonly disk: Disk
  /** Sleeps for the program that writes. */
  readonly sleep: (ms: number) => Promise<void>
}

/**
 * One report file: its writer appends whole lines, without a sync, as a program does; its reader is
 * told, and need not look.
 */
export class ReportFile implements ReportLines {
  readonly #path: string
  readonly #init: ReportFilesInit
  readonly #place: CheckpointPlace
  readonly #lines: string[]
  #grown: () => void = () => undefined
  /** Lines that were acknowledged, offered, and looked at for problems. */
  #position = 0
  #offered = 0
  #checked = 0
  #ended = false
  #appending: Promise<void> = Promise.resolve()

  constructor(init: ReportFilesInit & { path: string; checkpointDir: string; text: string }) {
    this.#init = init
    this.#path = init.path
    const { checkpointDir } = init
    this.#place = { directories: [checkpointDir], name: basename(checkpointDir) }
    // A last line that was cut by a power loss stays: it is not JSON and is not used.
    this.#lines = init.text.split('\n').filter((line) => line !== '')
  }

  /** Who is told of new lines. */
  onGrown(grown: () => void): void {
    this.#grown = grown
  }

  /** Appends a line, after those before it; resolves when a reader could see it. */
  append(line: string): Promise<void> {
    this.#appending = this.#appending.then(() => this.#write(line))
    return this.#appending
  }

  async #write(line: string): Promise<void> {
    const bytes = new TextEncoder().encode(`${line}\n`)
    for (;;) {
      try {
        await this.#init.disk.append(this.#path, bytes)
        break
      } catch {
        await this.#init.sleep(RETRY_MS)
      }
    }
    this.#lines.push(line)
    this.#grown()
  }

  end(): void {
    this.#ended = true
  }

  hasMore(): boolean {
    return this.#lines.length > (this.#ended ? this.#position : this.#offered)
  }

  hasUnoffered(): boolean {
    return this.#lines.length > this.#offered
  }

  offer(): readonly ReportLine[] {
    this.#offered = this.#lines.length
    return this.#lines.slice(this.#position).flatMap((json, index) => {
      const passed = passedOn(json, this.#place)
      return passed === undefined ? [] : [{ line: this.#position + index + 1, json: passed }]
    })
  }

  accept(): void {
    this.#position = this.#offered
  }

  problems(): readonly string[] {
    const from = this.#checked
    this.#checked = this.#lines.length
    return this.#lines.slice(from).flatMap((json, index) => {
      const problem = problemOfLine(json, this.#place)
      return problem === undefined ? [] : [`line ${from + index + 1} is not used: ${problem}`]
    })
  }
}
