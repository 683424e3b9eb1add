/**
 * Claiming a partition. Liveness only: whatever happens here, the order of the log decides who
 * leads.
 */
import {
  AppendRefusedError,
  type Claim,
  encodeClaim,
  type LogAddress,
} from '@serverless-ai/eventlog'
import type { Message, Timer } from '@serverless-ai/kernel'
import type { AppendTime } from './append-time.ts'
import type { RuntimeContext } from './context.ts'
import { errorText } from './errors.ts'

const CLAIM_WAIT_MS = 2000
const CLAIM_WAIT_MAX_MS = 30_000
/** A wait is longer by up to this share, so that two that lost together do not meet again. */
const JITTER_SHARE = 0.2

/** What claiming needs from its runtime. */
export interface ClaimsHost {
  readonly address: LogAddress
  /** The epoch to claim; undefined = not now (leading, stopping, not caught up). */
  nextEpoch(): number | undefined
  /** When it may be claimed, monotonic ms; infinite = not before something is heard. */
  claimAtMs(): number
  readonly appendTime: AppendTime
  logClosed(error: Error): void
}

interface Outstanding {
  readonly claimId: Uint8Array
  readonly abort: AbortController
}

/**
 * One claim is outstanding at a time; its id lives in memory only and is forgotten with the state.
 */
export class Claims<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #host: ClaimsHost
  #outstanding: Outstanding | undefined
  #timer: Timer | undefined
  #notBeforeMs = 0
  /** Own claims since the last effective commit of anyone. */
  #inVain = 0
  #closed = false

  constructor(context: RuntimeContext<S, C, E>, host: ClaimsHost) {
    this.#context = context
    this.#host = host
  }

  get outstanding(): boolean {
    return this.#outstanding !== undefined
  }

  /** Is this the claim that is outstanding? */
  isOwn(claim: Claim): boolean {
    const own = this.#outstanding
    return own !== undefined && Buffer.compare(own.claimId, claim.claimId) === 0
  }

  /** The state was dropped, or the claim was read: it is not outstanding any more. */
  forget(): void {
    this.#outstanding?.abort.abort()
    this.#outstanding = undefined
  }

  /** No claim for so long from now, ms, and a little longer. */
  delay(ms: number): void {
    const jitter = 1 + JITTER_SHARE * this.#context.ports.randomness.float()
    const untilMs = this.#context.ports.clock.monotonicMs() + ms * jitter
    this.#notBeforeMs = Math.max(this.#notBeforeMs, untilMs)
  }

  /** An effective commit of anyone was read. */
  sawCommit(): void {
    this.#inVain = 0
  }

  /** Claims now, or as soon as it is time to. Called whenever something changed. */
  consider(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    const epoch = this.#host.nextEpoch()
    if (this.#closed || epoch === undefined) return
    const { clock, timers } = this.#context.ports
    const waitMs = Math.max(this.#notBeforeMs, this.#host.claimAtMs()) - clock.monotonicMs()
    if (waitMs === Number.POSITIVE_INFINITY) return
    if (waitMs > 0) {
      this.#timer = timers.after(waitMs, () => this.consider())
      return
    }
    if (this.#outstanding !== undefined) return
    this.#claim(epoch)
  }

  #claim(epoch: number): void {
    const { randomness, clock } = this.#context.ports
    const { replica, address } = this.#context.environment
    const claimId = randomness.bytes(16)
    const value = encodeClaim({
      epoch: BigInt(epoch),
      claimId: Buffer.from(claimId),
      replica,
      address,
      atMs: BigInt(Math.floor(clock.wallMs())),
    })
    const outstanding = { claimId, abort: new AbortController() }
    this.#outstanding = outstanding
    const base = Math.max(CLAIM_WAIT_MS, 5 * this.#host.appendTime.ms)
    const longest = CLAIM_WAIT_MAX_MS / (1 + JITTER_SHARE)
    this.delay(Math.min(base * 2 ** this.#inVain, longest))
    this.#inVain += 1
    void this.#append(outstanding, value)
  }

  /** The identical claim again until its fate was read: copies that land later are void. */
  async #append(own: Outstanding, value: Uint8Array): Promise<void> {
    const { eventLog } = this.#context.environment
    const { clock } = this.#context.ports
    const entries = [{ key: '', headers: {}, value }]
    for (let pauseMs = 100; this.#outstanding === own; pauseMs = Math.min(2 * pauseMs, 2000)) {
      const startMs = clock.monotonicMs()
      try {
        await eventLog.append(this.#host.address, entries)
        this.#host.appendTime.took(clock.monotonicMs() - startMs)
        return
      } catch (error) {
        if (error instanceof AppendRefusedError && error.code === 'CLOSED') {
          this.#host.logClosed(error)
          return
        }
        const fields = { error: errorText(error) }
        this.#context.logger.log('warn', 'a claim has to be appended again', fields)
      }
      try {
        await this.#context.ports.timers.sleep(pauseMs, own.abort.signal)
      } catch {
        return
      }
    }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.forget()
  }
}
