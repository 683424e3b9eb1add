/** A leader with nothing to write shows that it is there. */
import type { Message, Ports, Timer } from '@serverless-ai/kernel'
import type { LeadSession } from './lead-session.ts'
import { TICK_AFTER_MS } from './standby.ts'

/** Ticks after silence, while it is wanted. */
export class Heartbeat<S, C extends Message, E extends Message> {
  readonly #ports: Ports
  /** Is there anybody who watches? Else an idle partition writes nothing. */
  #watched: boolean
  #heardMs = 0
  #timer: Timer | undefined

  constructor(ports: Ports, watched: boolean) {
    this.#ports = ports
    this.#watched = watched
  }

  /** An effective record was read. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs
  }

  /**
   * A process that was not configured wants the partition too. It is heard of by its claim, which
   * ends the session: the next one ticks from its start.
   */
  rivalHeard(): void {
    this.#watched = true
  }

  /** Ticks until `stop` or the end of the session. */
  start(session: LeadSession<S, C, E>): void {
    if (session.signal.aborted || !this.#watched) return
    const { clock, timers } = this.#ports
    let waitMs = this.#heardMs + TICK_AFTER_MS - clock.monotonicMs()
    if (waitMs <= 0) {
      const { inFlight, mailbox } = session.leader
      const idle = inFlight === undefined && mailbox.empty
      if (idle) session.submit({ kind: 'confirm', onConfirmed: () => {}, onLost: () => {} })
      waitMs = TICK_AFTER_MS / 2
    }
    this.#timer = timers.after(waitMs, () => this.start(session))
  }

  stop(): void {
    this.#timer?.cancel()
  }
}
