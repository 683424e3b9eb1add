/** What an operator should know of a partition: why it has stopped, or what to look at. */
import { type Logger, type Message, RpcError } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import { levelInUse } from './levels.ts'
import type { Partition } from './partition.ts'

export class Condition {
  /** Why the partition stopped; empty = it did not. */
  alarm = ''
  /** Something that does not stop the partition but must be looked at. */
  warning = ''
  readonly #service: string
  /** Highest feature level that this version knows. */
  readonly #level: number
  readonly #logger: Logger

  constructor(of: { readonly service: string; readonly level: number }, logger: Logger) {
    this.#service = of.service
    this.#level = of.level
    this.#logger = logger
  }

  /** The partition cannot go on; the process does. `state`: as far as it was folded. */
  failed<S, C extends Message, E extends Message>(
    error: unknown,
    state: Partition<S, C, E> | undefined,
  ): void {
    // What a newer version writes cannot be folded: the level says why.
    const level = state === undefined || this.mayLead(state) ? '' : `${this.#below(state)}: `
    this.alarm = `${level}${errorText(error)}`
    this.#logger.log('error', 'the partition has stopped', { alarm: this.alarm })
  }

  /** Throws what callers are told once it has stopped. */
  check(): void {
    if (this.alarm !== '') throw this.error()
  }

  error(): RpcError {
    return new RpcError({
      code: 'UNAVAILABLE',
      reason: 'PARTITION_STOPPED',
      message: `${this.#service} has stopped: ${this.alarm}`,
    })
  }

  /** This version knows all that is in use in the log: it may lead. */
  mayLead<S, C extends Message, E extends Message>(state: Partition<S, C, E>): boolean {
    return levelInUse(state.framework) <= this.#level
  }

  #below<S, C extends Message, E extends Message>({ framework }: Partition<S, C, E>): string {
    const known = `this version knows levels up to ${this.#level} and does not lead`
    return `feature level ${framework.featureLevel} is in use: ${known}; start a newer version`
  }

  /** Looks at the state and says once what is wrong with it. */
  look<S, C extends Message, E extends Message>(state: Partition<S, C, E>): void {
    const told = this.warning
    if (state.diverged !== '') this.warning = `the state differs from its ${state.diverged}`
    if (!this.mayLead(state)) this.warning = this.#below(state)
    if (this.warning !== told) this.#logger.log('error', this.warning)
  }
}
