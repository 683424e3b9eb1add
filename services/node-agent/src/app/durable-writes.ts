import type { Logger, Timers } from '@serverless-ai/kernel'
import { messageOf } from '../adapters/os/files.ts'

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

  /** Undefined when the first attempt succeeded, else a promise of the one that does. */
  attempt(what: string, write: () => void): Promise<void> | undefined {
    try {
      write()
      return undefined
    } catch (error) {
      this.logger.log('error', `${what} not written`, { problem: messageOf(error) })
      return this.retry(what, write)
    }
  }

  private async retry(what: string, write: () => void): Promise<void> {
    for (;;) {
      await this.timers.sleep(RETRY_MS)
      try {
        write()
        this.logger.log('info', `${what} written at last`)
        return
      } catch {
        // Said once.
      }
    }
  }
}
