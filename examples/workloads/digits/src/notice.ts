import { readFileSync } from 'node:fs'

/** How often the file is looked at, ms. */
const LOOK_EVERY_MS = 200

/**
 * Looks whether the platform asks for a checkpoint before a planned change: the file is not there
 * before, and is written as a whole.
 */
export class NoticeFile {
  readonly #file: string | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #id = ''

  /** @param file undefined: nothing is ever told */
  constructor(file: string | undefined) {
    this.#file = file
  }

  /** Id of the notice; empty = none. */
  look(): string {
    const now = performance.now()
    if (this.#file === undefined || this.#id !== '' || now < this.#lookedAt + LOOK_EVERY_MS) {
      return this.#id
    }
    this.#lookedAt = now
    this.#id = idOf(this.#file)
    return this.#id
  }
}

function idOf(file: string): string {
  try {
    const notice: unknown = JSON.parse(readFileSync(file, 'utf8'))
    const named = typeof notice === 'object' && notice !== null && 'id' in notice
    const asks = named && 'kind' in notice && notice.kind === 'checkpoint'
    return asks && typeof notice.id === 'string' ? notice.id : ''
  } catch {
    // Not there, as nearly always; or something that this program does not know.
    return ''
  }
}
