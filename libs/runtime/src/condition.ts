/** What an operator should know of a partition: why it has stopped, or what to look at. */
import { type Logger, type Message, RpcError } from '@serverless-ai/kernel'
import { errorText } from './errors.ts'
import type { Partition } from './partition.ts'

/** Highest feature level of the log that this version can lead. */
const FEATURE_LEVEL = 1

export class Condition {
  /** Why the partition stopped; empty = it did not. */
  alarm = ''
  /** Something that does not stop the partition but must be looked at. */
  warning = ''
  readonly #service: string
  readonly #logger: Logger

  constructor(service: string, logger: Logger) {
    this.#service = service
    this.#logger = logger
  }

  /** The partition cannot go on; the process does. */
  failed(error: unknown): void {
    this.alarm = errorText(error)
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
    return state.framework.featureLevel <= FEATURE_LEVEL
  }

  /** Looks at the state and says once what is wrong with it. */
  look<S, C extends Message, E extends Message>(state: Partition<S, C, E>): void {
    const told = this.warning
    if (state.diverged !== '') this.warning = `the state differs from its ${state.diverged}`
    if (!this.mayLead(state)) {
      const known = `this version knows ${FEATURE_LEVEL} and does not lead`
      this.warning = `feature level ${state.framework.featureLevel} is in use: ${known}`
    }
    if (this.warning !== told) this.#logger.log('error', this.warning)
  }
}
