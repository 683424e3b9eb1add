import type { Logger, Timers } from '@serverless-ai/kernel'
import { messageOf } from '../../core/errors.ts'
import type { Write } from './node-store.ts'

/** How often a write that failed is tried again, ms. */
const RETRY_MS = 500

/** Writes that are repeated until the disk takes them: a full disk delays, and loses nothing. */
export class DurableWrites {
  private readonly timers: Timers
  private readonly logger: Logger

  constructor(timers: Timers, logger: Logger) {
    this.timers = timers
    this.logger = logger
  }

  /**
   * Undefined when the first attempt is durable already, else a promise of the one that is: a
   * caller that need not wait keeps the order of what it does.
   */
  attempt(what: string, write: () => Write): Promise<void> | undefined {
    try {
      const writing = write()
      return writing?.catch((error: unknown) => this.failed(what, write, error))
    } catch (error) {
      return this.failed(what, write, error)
    }
  }

  /** Tries once and does not wait; a failure is said and nothing else. */
  once(what: string, write: () => Write): void {
    const failed = (error: unknown) => this.say(what, error)
    try {
      write()?.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  private say(what: string, error: unknown): void {
    this.logger.log('error', `${what} not written`, { problem: messageOf(error) })
  }

  private failed(what: string, write: () => Write, error: unknown): Promise<void> {
    this.say(what, error)
    return this.retry(what, write)
  }

  private async retry(what: string, write: () => Write): Promise<void> {
    for (;;) {
      await this.timers.sleep(RETRY_MS)
      try {
        await write()
        this.logger.log('info', `${what} written at last`)
        return
      } catch {
        // Said once.
      }
    }
  }
}
