import type { Timers } from '@serverless-ai/kernel'

/** Lets callers wait for a state of something that says when it has changed. */
export class StateWaiter {
  private readonly timers: Timers
  private look: () => void = () => undefined

  constructor(timers: Timers) {
    this.timers = timers
  }

  /** The state has changed. */
  changed(): void {
    this.look()
  }

  /** Waits for a state, one caller at a time; false when it did not come in time. */
  until(reached: () => boolean, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel()
        this.look = () => undefined
        resolve(reached())
      }
      const timer = this.timers.after(timeoutMs, done)
      this.look = () => {
        if (reached()) done()
      }
      this.look()
    })
  }
}
