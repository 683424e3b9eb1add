import type { Clock, Timers } from '@serverless-ai/kernel'

/** Requests that come at a rate, whatever becomes of those before (an open loop). */
export interface Phase {
  readonly seconds: number
  readonly perSecond: number
}

/** A stretch of a flood, by the requests that ended within it. */
export interface Stretch {
  /** Since its begin, s. */
  readonly atSeconds: number
  readonly perSecond: number
  readonly answered: number
  /** Refused, cut or wrong. */
  readonly failed: number
  /** From when it was due to its end, ms; absent = none ended. */
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
}

const quantile = (sorted: readonly number[], fraction: number): number | undefined =>
  sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))]

/** What has ended since it was asked last. */
class Tally {
  #times: number[] = []
  #failed = 0

  ended(ok: boolean, ms: number): void {
    if (ok) this.#times.push(ms)
    else this.#failed += 1
  }

  take(): Pick<Stretch, 'answered' | 'failed' | 'p50Ms' | 'p99Ms'> {
    const times = this.#times.sort((a, b) => a - b)
    const failed = this.#failed
    this.#times = []
    this.#failed = 0
    const [p50Ms, p99Ms] = [quantile(times, 0.5), quantile(times, 0.99)]
    return { answered: times.length, failed, p50Ms, p99Ms }
  }
}

/**
 * Sends requests in phases, one after the other, and tells every `tellEverySeconds` how they do;
 * where `tell` answers false nothing more is sent. `request` says whether it was answered rightly
 * and never throws. Resolves when all have ended.
 */
export async function flood(init: {
  readonly phases: readonly Phase[]
  readonly request: () => Promise<boolean>
  readonly tellEverySeconds: number
  readonly tell: (stretch: Stretch) => Promise<boolean>
  readonly ports: { readonly clock: Clock; readonly timers: Timers }
}): Promise<void> {
  const { phases, request, tellEverySeconds, tell, ports } = init
  const startedMs = ports.clock.monotonicMs()
  const sinceStart = (): number => ports.clock.monotonicMs() - startedMs
  const tally = new Tally()
  const running = new Set<Promise<void>>()
  let dueMs = 0
  let toldMs = 0
  const send = (atMs: number): void => {
    const one: Promise<void> = request().then((ok) => {
      tally.ended(ok, sinceStart() - atMs)
      running.delete(one)
    })
    running.add(one)
  }
  for (const { seconds, perSecond } of phases) {
    const endMs = dueMs + seconds * 1_000
    for (; dueMs < endMs; dueMs += 1_000 / perSecond) {
      const waitMs = dueMs - sinceStart()
      if (waitMs > 0) await ports.timers.sleep(waitMs)
      if (dueMs - toldMs >= tellEverySeconds * 1_000) {
        toldMs = dueMs
        const goesOn = await tell({
          atSeconds: Math.round(dueMs / 1_000),
          perSecond,
          ...tally.take(),
        })
        if (!goesOn) return
      }
      send(dueMs)
    }
    dueMs = endMs
  }
  await Promise.all(running)
  await tell({ atSeconds: Math.round(sinceStart() / 1_000), perSecond: 0, ...tally.take() })
}
