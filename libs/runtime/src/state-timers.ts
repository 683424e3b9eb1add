/** Timers of the state, over log time: one kernel timer is armed for the next one due. */
import type { Message, Timer } from '@serverless-ai/kernel'
import type { CommitFacts } from './facts.ts'
import { MinHeap } from './heap.ts'
import type { Session, SessionPart } from './session.ts'

/** Longest single wait, ms: timers of the platform hold 31 bits. */
const ARM_MAX_MS = 2 ** 31 - 1

interface Due {
  readonly key: string
  readonly dueMs: number
}

export class StateTimers<S, C extends Message, E extends Message> implements SessionPart {
  readonly #session: Session<S, C, E>
  readonly #heap = new MinHeap<Due>((a, b) => a.dueMs < b.dueMs)
  #armed: Timer | undefined

  constructor(session: Session<S, C, E>) {
    this.#session = session
  }

  start(): void {
    const set = this.#session.state()?.framework.timers ?? []
    for (const [key, dueMs] of set) this.#heap.push({ key, dueMs })
    this.#session.signal.addEventListener('abort', () => this.#armed?.cancel(), { once: true })
    this.#arm()
  }

  onCommit(facts: CommitFacts): void {
    let touched = false
    for (const fact of facts.runtime) {
      if (fact.type !== 'TimerSet') continue
      this.#heap.push({ key: fact.key, dueMs: fact.dueMs })
      touched = true
    }
    if (touched) this.#arm()
  }

  #arm(): void {
    this.#armed?.cancel()
    this.#armed = undefined
    const { context, signal } = this.#session
    if (signal.aborted) return
    const state = this.#session.state()
    for (;;) {
      const next = this.#heap.peek()
      if (next === undefined) return
      // Replaced, cancelled, or fired meanwhile.
      const stale = state !== undefined && state.framework.timers.get(next.key) !== next.dueMs
      if (!stale && next.dueMs > context.logClock.nowMs()) break
      this.#heap.pop()
      if (stale) continue
      this.#session.submit({ kind: 'timer', ...next, onLost: () => {} })
    }
    const waitMs = this.#heap.peek()!.dueMs - context.logClock.nowMs()
    const armMs = Math.min(Math.max(1, Math.ceil(waitMs)), ARM_MAX_MS)
    this.#armed = context.ports.timers.after(armMs, () => this.#arm())
  }
}
