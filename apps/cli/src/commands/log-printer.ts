import { StringDecoder } from 'node:string_decoder'
import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import type { Io } from '../io.ts'

/** A line longer than this is broken, characters. */
const LINE_MAX = 64 * 1024

/** Merges the pieces of all ranks into whole lines, each with its rank. */
export class LogPrinter {
  readonly #io: Pick<Io, 'out' | 'err'>
  readonly #prefix: boolean
  readonly #parts = new Map<string, { rank: number; decoder: StringDecoder; text: string }>()

  /** @param options `prefix`: name the rank on each line */
  constructor(io: Pick<Io, 'out' | 'err'>, options: { readonly prefix: boolean }) {
    this.#io = io
    this.#prefix = options.prefix
  }

  print({ generation, rank, nodeId, data, firstFailing, note }: ReadLogsResponse): void {
    if (firstFailing)
      this.#io.err(`── rank ${rank} failed first (generation ${generation}, ${nodeId})\n`)
    if (note !== '') this.#io.err(`── rank ${rank}: ${note}\n`)
    if (data.length === 0) return
    const key = `${generation}:${rank}`
    const part = this.#parts.get(key) ?? { rank, decoder: new StringDecoder('utf8'), text: '' }
    this.#parts.set(key, part)
    part.text += part.decoder.write(data)
    const lines = part.text.split('\n')
    part.text = lines.pop() ?? ''
    if (part.text.length > LINE_MAX) {
      lines.push(part.text)
      part.text = ''
    }
    if (lines.length > 0) this.#io.out(lines.map((line) => this.#line(rank, line)).join(''))
  }

  /** Prints what has no line end yet. */
  end(): void {
    for (const { rank, text } of this.#parts.values()) {
      if (text !== '') this.#io.out(this.#line(rank, text))
    }
    this.#parts.clear()
  }

  #line(rank: number, line: string): string {
    return this.#prefix ? `[${rank}] ${line}\n` : `${line}\n`
  }
}
