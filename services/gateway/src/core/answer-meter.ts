/** Reads tokens off an answer as it passes, without holding it up. */

/** What an answer said about tokens. */
export interface Tokens {
  readonly input: number | undefined
  readonly output: number | undefined
}

/** End of an answer that is looked at for `usage`, characters. */
const TAIL = 4_096
const USAGE = /"(prompt_tokens|completion_tokens|input_tokens|output_tokens)"\s*:\s*(\d{1,9})\b/g

/**
 * Counts the events of a stream (one token each, where the replica does not say better) and finds
 * the `usage` of an OpenAI answer.
 */
export class AnswerMeter {
  readonly #stream: boolean
  #events = 0
  #tail = ''

  /** @param stream true = `text/event-stream` */
  constructor(stream: boolean) {
    this.#stream = stream
  }

  /** Events so far. */
  get events(): number {
    return this.#events
  }

  /** A piece of the answer. Answers the number of events that began in it. */
  take(piece: Buffer): number {
    const text = piece.toString('latin1')
    const before = this.#tail.slice(-6)
    let found = 0
    if (this.#stream) {
      const seam = `${before}${text}`
      const from = before.length
      for (let at = seam.indexOf('data:'); at >= 0; at = seam.indexOf('data:', at + 5)) {
        const starts = at === 0 || seam[at - 1] === '\n'
        if (!starts || at + 5 <= from) continue
        if (!seam.startsWith('[DONE]', seam[at + 5] === ' ' ? at + 6 : at + 5)) found += 1
      }
      this.#events += found
    }
    this.#tail = text.length >= TAIL ? text.slice(-TAIL) : `${this.#tail}${text}`.slice(-TAIL)
    return found
  }

  /** What the answer said, at its end. */
  tokens(): Tokens {
    const said: Record<string, number> = {}
    for (const [, name = '', digits] of this.#tail.matchAll(USAGE)) said[name] = Number(digits)
    const input = said['prompt_tokens'] ?? said['input_tokens']
    const output = said['completion_tokens'] ?? said['output_tokens']
    const counted = this.#stream && this.#events > 0 ? this.#events : undefined
    return { input, output: output ?? counted }
  }
}
