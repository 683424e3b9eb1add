/** Reads of effective state. */
import { type Message, RpcError } from '@serverless-ai/kernel'
import type { RuntimeContext } from './context.ts'
import { deadlineExceeded } from './errors.ts'
import { sourceKey } from './framework.ts'
import type { Partition } from './partition.ts'
import { type Position, parsePosition } from './position.ts'
import type { Signal } from './signal.ts'
import type { PositionToken } from './types.ts'

/** Default wait of a read, ms. */
const READ_TIMEOUT_MS = 10_000

/** What reads need from their runtime. */
export interface ReadsHost<S, C extends Message, E extends Message> {
  /** Effective state that may be read now; undefined = wait. Throws when there will be none. */
  readable(): Partition<S, C, E> | undefined
  /** Notified when `readable` or a position may have changed. */
  readonly changed: Signal
  /** A read waits for the mark of this source. */
  markWanted(source: string, seq: number): void
}

/** Options of a read. */
export interface ReadOptions {
  readonly minPosition?: PositionToken
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

export class Reads<S, C extends Message, E extends Message> {
  readonly #context: RuntimeContext<S, C, E>
  readonly #host: ReadsHost<S, C, E>

  constructor(context: RuntimeContext<S, C, E>, host: ReadsHost<S, C, E>) {
    this.#context = context
    this.#host = host
  }

  /** Runs the query on effective state as soon as there is one that has reached the position. */
  async read<T>(query: (state: Partition<S, C, E>) => T, options: ReadOptions = {}): Promise<T> {
    const wanted = options.minPosition ? this.#wanted(options.minPosition) : undefined
    const now = this.#ready(wanted)
    if (now !== undefined) return query(now)
    const limit = this.#limit(options)
    try {
      for (;;) {
        await this.#host.changed.wait(limit.signal)
        const state = this.#ready(wanted)
        if (state !== undefined) return query(state)
      }
    } finally {
      limit.release()
    }
  }

  #limit(options: ReadOptions): { signal: AbortSignal; release: () => void } {
    const abort = new AbortController()
    const timer = this.#context.ports.timers.after(options.timeoutMs ?? READ_TIMEOUT_MS, () =>
      abort.abort(deadlineExceeded('the state did not reach the wanted position in time')),
    )
    const cancel = (): void => abort.abort(options.signal?.reason)
    if (options.signal?.aborted === true) cancel()
    else options.signal?.addEventListener('abort', cancel, { once: true })
    const release = (): void => {
      timer.cancel()
      options.signal?.removeEventListener('abort', cancel)
    }
    return { signal: abort.signal, release }
  }

  #wanted(token: PositionToken): Position {
    const wanted = parsePosition(token)
    const { definition, environment } = this.#context
    const known =
      wanted.service === definition.name ||
      definition.inputs.some(({ service }) => service === wanted.service)
    if (!known || wanted.partition !== environment.partition) {
      throw new RpcError({
        code: 'INVALID_ARGUMENT',
        reason: 'POSITION_NOT_FOLLOWED',
        message: `${definition.name} does not follow ${wanted.service} of cell ${wanted.partition}`,
      })
    }
    return wanted
  }

  #ready(wanted: Position | undefined): Partition<S, C, E> | undefined {
    const state = this.#host.readable()
    if (state === undefined || wanted === undefined) return state
    if (wanted.service === this.#context.definition.name) {
      return state.effectivePosition >= wanted.position ? state : undefined
    }
    const mark = state.framework.marks.get(sourceKey(wanted.service, wanted.partition))
    if ((mark?.seq ?? 0) >= wanted.publicSeq) return state
    this.#host.markWanted(wanted.service, wanted.publicSeq)
    return undefined
  }
}
