/**
 * Performs the outbox: effects leave after their commit is effective and are performed again until
 * an event settles them.
 */
import type { Message, Span } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import type { CommitFacts } from './facts.ts'
import type { OpenEffect } from './framework.ts'
import type { Session, SessionPart } from './session.ts'

/** Effects performed at once. */
export const EFFECTS_AT_ONCE_MAX = 64
const BACK_OFF_MS = 200
const BACK_OFF_MAX_MS = 10_000

interface Job {
  readonly effect: OpenEffect
  attempt: number
}

export class Effects<S, C extends Message, E extends Message> implements SessionPart {
  readonly #session: Session<S, C, E>
  readonly #running = new Map<number, { readonly key: string; readonly abort: AbortController }>()
  #waiting: Job[] = []

  constructor(session: Session<S, C, E>) {
    this.#session = session
  }

  start(): void {
    const open = this.#session.state()?.framework.effects.values() ?? []
    for (const effect of open) this.#waiting.push({ effect, attempt: 1 })
    this.#next()
  }

  onCommit(facts: CommitFacts): void {
    let touched = false
    for (const fact of facts.runtime) {
      if (fact.type === 'EffectSettled') touched = true
      if (fact.type !== 'EffectAdded') continue
      const effect = this.#session.state()?.framework.effects.get(fact.key)
      if (effect !== undefined) this.#waiting.push({ effect, attempt: 1 })
      touched = true
    }
    if (!touched) return
    this.#waiting = this.#waiting.filter((job) => this.#open(job))
    const effects = this.#session.state()?.framework.effects
    for (const [id, { key, abort }] of this.#running) {
      if (effects !== undefined && effects.get(key)?.id !== id) abort.abort(new Error('settled'))
    }
    this.#next()
  }

  /** Still to be done, as far as is known. */
  #open({ effect }: Job): boolean {
    const state = this.#session.state()
    return state === undefined || state.framework.effects.get(effect.key)?.id === effect.id
  }

  #next(): void {
    const { definition, logger } = this.#session.context
    if (definition.perform === undefined) {
      if (this.#waiting.length > 0) {
        logger.log('error', 'there are effects and nothing performs them', {
          effects: this.#waiting.length,
        })
      }
      return
    }
    while (this.#running.size < EFFECTS_AT_ONCE_MAX && !this.#session.signal.aborted) {
      const job = this.#waiting.shift()
      if (job === undefined) return
      if (this.#open(job)) void this.#perform(job)
    }
  }

  async #perform(job: Job): Promise<void> {
    const { effect, attempt } = job
    const { context, signal } = this.#session
    const abort = new AbortController()
    const stop = (): void => abort.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    this.#running.set(effect.id, { key: effect.key, abort })
    const span = this.#span(job)
    try {
      const { key, kind, payload } = effect
      const request = { key, kind, payload }
      const perform = () => context.definition.perform!(request, { attempt, signal: abort.signal })
      const command = await (span === undefined
        ? perform()
        : context.traces!.tracer.within(span.context, perform))
      const item = {
        ...({ kind: 'outcome', effectId: effect.id, key, command, onLost: () => {} } as const),
        trace: span?.context,
      }
      span?.end()
      if (!abort.signal.aborted) this.#session.submit(item)
    } catch (error) {
      span?.end({ error: errorText(error) })
      if (!abort.signal.aborted) this.#again(job, error)
    } finally {
      signal.removeEventListener('abort', stop)
      this.#running.delete(effect.id)
      this.#next()
    }
  }

  /** The span of an attempt, where the effect belongs to a trace. */
  #span({ effect, attempt }: Job): Span | undefined {
    const { traces } = this.#session.context
    const parent = traces?.ofEffect(effect.key)
    if (parent === undefined) return undefined
    const attributes = { 'sai.key': effect.key, 'sai.attempt': attempt }
    return traces?.span(`effect ${effect.kind}`, { parent, attributes })
  }

  /** The slot is free for others while an effect backs off. */
  #again(job: Job, error: unknown): void {
    const { logger, ports } = this.#session.context
    const { key, kind } = job.effect
    const pauseMs = Math.min(BACK_OFF_MS * 2 ** (job.attempt - 1), BACK_OFF_MAX_MS)
    logger.log(job.attempt < 4 ? 'debug' : 'warn', 'an effect failed and will be repeated', {
      key,
      kind,
      attempt: job.attempt,
      error: errorText(error),
    })
    const timer = ports.timers.after(pauseMs, () => {
      this.#session.signal.removeEventListener('abort', cancel)
      this.#waiting.push({ effect: job.effect, attempt: job.attempt + 1 })
      this.#next()
    })
    const cancel = (): void => timer.cancel()
    this.#session.signal.addEventListener('abort', cancel, { once: true })
  }
}
