import type { AnswerContent, Body, PublishedMark, Request, Result, Switched } from './content.ts'

/** A request's id is known this long after its own time, virtual ms. */
export const WINDOW = 60
/** An id may be this much ahead. */
export const FUTURE = 10

interface Kept {
  readonly result: Result
  readonly idTime: number
  readonly committedAt: number
  /** Position of the commit that released it. */
  readonly position: number
}

/** State of the modelled service: folded from effective commits by every replica. */
export class ServiceState {
  keys = 0
  digest = 17
  at = 0
  publicSeq = 0
  published: PublishedMark = { seq: 0, position: -1, epoch: 0, nextSequence: 0 }
  verified: number[] = []
  answers = new Map<number, Kept>()
  effects = new Set<number>()

  clone(): ServiceState {
    const copy = new ServiceState()
    copy.keys = this.keys
    copy.digest = this.digest
    copy.at = this.at
    copy.publicSeq = this.publicSeq
    copy.published = this.published
    copy.verified = [...this.verified]
    copy.answers = new Map(this.answers)
    copy.effects = new Set(this.effects)
    return copy
  }

  /** Applies one event of a command, as it is decided or folded. */
  evolve({ request, key, on }: Switched): void {
    this.keys = on ? this.keys | (1 << key) : this.keys & ~(1 << key)
    this.digest = (Math.imul(this.digest, 31) + request * 16 + key * 2 + (on ? 1 : 0)) | 0
    this.effects.add(request)
  }

  /** Takes the answer and forgets those whose id is too old by now. */
  #keep(answer: AnswerContent, position: number): void {
    if (answer.result === 'old' || answer.result === 'future') return
    const { request, result, idTime } = answer
    this.answers.set(request, { result, idTime, committedAt: this.at, position })
  }

  /** Folds a commit; `skip`: its domain events are voided. */
  fold(
    body: Body,
    position: number,
    how: { skip: boolean; pruneByCommitTime: boolean; evolved?: boolean },
  ): void {
    this.at = body.at
    if (how.evolved !== true && !how.skip) for (const event of body.events) this.evolve(event)
    if (how.skip) for (const { request } of body.events) this.effects.add(request)
    for (const answer of body.answers) this.#keep(answer, position)
    for (const [request, kept] of this.answers) {
      const since = how.pruneByCommitTime ? kept.committedAt : kept.idTime
      if (this.at - since > WINDOW) this.answers.delete(request)
    }
    for (const request of body.settled) this.effects.delete(request)
    if (body.published !== undefined && body.published.seq > this.published.seq) {
      this.published = body.published
    }
    if (body.verified.length > 0) {
      this.verified = [...new Set([...this.verified, ...body.verified])].sort((a, b) => b - a)
    }
    this.publicSeq += body.seqs.length
  }

  /** What a request comes to on this state; `ok` means that its event may be evolved. */
  decide({ key, on, idTime }: Request, at: number): Result {
    if (at - idTime > WINDOW) return 'old'
    if (idTime - at > FUTURE) return 'future'
    return ((this.keys >> key) & 1) === (on ? 1 : 0) ? 'no' : 'ok'
  }
}
