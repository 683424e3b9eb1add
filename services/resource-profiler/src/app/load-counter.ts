import type { LoadRow } from '../core/messages.ts'
import { BUCKET_MS, BUCKETS_KEPT, REST_BUCKETS } from '../core/model.ts'

/** What a gate said about a service. */
export interface LoadReading {
  readonly source: string
  readonly bootId: string
  readonly jobId: string
  readonly atMs: number
  /** Counters. Tokens absent = not known. */
  readonly arrived: number
  readonly tokens: number | undefined
  /** It holds requests. */
  readonly busy: boolean
  /** The first batch of its boot: counters began at 0. */
  readonly begins: boolean
  /** Before it batches of its gate did not come for so long, ms; 0 = none are missing. */
  readonly missingMs: number
}

/** A sample may be so far from the clock of this process, ms. */
const FAR_MS = 60_000
/** Samples of a bucket come for so long after its end, ms. */
const SETTLE_MS = 2_500
/** A gate that held requests and says nothing for this is silent, ms. */
const SILENT_MS = 15_000
/** A gate that is silent for this is forgotten, ms. */
const FORGET_MS = 600_000

interface Gate {
  bootId: string
  arrived: number
  tokens: number | undefined
  busy: boolean
  heardMs: number
}

interface Bucket {
  /** -1 = not known. */
  arrivals: number
  /** -1 = not known. */
  tokens: number
}

interface Counted {
  readonly gates: Map<string, Gate>
  readonly buckets: Map<number, Bucket>
  /** Number of the newest bucket that was handed over; -1 = none. */
  newest: number
  /** Buckets at its end in which nothing came. */
  quiet: number
  /** Not recorded, or it never came: what is before the next row is not known. */
  lost: boolean
}

/** Of two counts, each of which may not be known (-1). */
const sumOf = (a: number, b: number): number => (a < 0 || b < 0 ? -1 : a + b)

/** Counts arrivals of services in buckets of time, from the counters of all gates. */
export class LoadCounter {
  readonly #services = new Map<string, Counted>()
  /** Readings that could not be: clocks, and counters that went back within a boot. */
  rejected = 0

  /** True while there is something to hand over, now or at the end of a bucket. */
  get active(): boolean {
    for (const { buckets, quiet, newest } of this.#services.values()) {
      if (buckets.size > 0 || (newest >= 0 && quiet < REST_BUCKETS)) return true
    }
    return false
  }

  take(reading: LoadReading, nowMs: number): void {
    const { jobId, source, bootId, arrived, tokens, busy } = reading
    if (Math.abs(reading.atMs - nowMs) > FAR_MS || jobId === '') {
      this.rejected += 1
      return
    }
    const service = this.#serviceOf(jobId)
    const before = service.gates.get(source)
    const known = before?.bootId === bootId ? before : undefined
    if (known !== undefined && arrived < known.arrived) {
      this.rejected += 1
      return
    }
    service.gates.set(source, { bootId, arrived, tokens, busy, heardMs: nowMs })
    const from = known ?? (reading.begins ? { arrived: 0, tokens: 0 } : undefined)
    // A gate that was there before: what came until now is not of this bucket.
    if (from === undefined) return
    const came = arrived - from.arrived
    if (came === 0) return
    // What came over a long time did not come in this bucket; nobody knows in which.
    if (reading.missingMs > BUCKET_MS) {
      service.lost = true
      this.#add(service, Math.floor(reading.atMs / BUCKET_MS), { arrivals: -1, tokens: -1 })
      return
    }
    const isKnown = tokens !== undefined && from.tokens !== undefined && tokens >= from.tokens
    const added = isKnown ? tokens - (from.tokens ?? 0) : -1
    this.#add(service, Math.floor(reading.atMs / BUCKET_MS), { arrivals: came, tokens: added })
  }

  #serviceOf(jobId: string): Counted {
    let service = this.#services.get(jobId)
    if (service === undefined) {
      service = { gates: new Map(), buckets: new Map(), newest: -1, quiet: 0, lost: false }
      this.#services.set(jobId, service)
    }
    return service
  }

  #add({ buckets, newest }: Counted, number: number, more: Bucket): void {
    // What is late belongs to the bucket that is open.
    const open = Math.max(number, newest + 1)
    const held = buckets.get(open) ?? { arrivals: 0, tokens: 0 }
    buckets.set(open, {
      arrivals: sumOf(held.arrivals, more.arrivals),
      tokens: sumOf(held.tokens, more.tokens),
    })
  }

  /** Rows that were handed over, and recorded by nobody here. */
  lose(rows: readonly LoadRow[]): void {
    for (const { jobId } of rows) {
      const service = this.#services.get(jobId)
      if (service !== undefined) service.lost = true
    }
  }

  /** Whole buckets that are over. */
  drain(nowMs: number): LoadRow[] {
    const last = Math.floor((nowMs - SETTLE_MS) / BUCKET_MS) - 1
    const rows: LoadRow[] = []
    for (const [jobId, service] of this.#services) {
      forgetGates(service, nowMs)
      const row = rowOf(jobId, service, { last, nowMs })
      if (row !== undefined) rows.push(row)
      if (service.gates.size === 0 && service.buckets.size === 0) this.#services.delete(jobId)
    }
    return rows
  }
}

function forgetGates({ gates }: Counted, nowMs: number): void {
  for (const [source, { heardMs }] of gates) {
    if (nowMs - heardMs > FORGET_MS) gates.delete(source)
  }
}

/** A gate that held requests says nothing: what arrives there is not known. */
const isSilent = ({ gates }: Counted, nowMs: number): boolean =>
  [...gates.values()].some(({ busy, heardMs }) => busy && nowMs - heardMs > SILENT_MS)

function rowOf(
  jobId: string,
  service: Counted,
  { last, nowMs }: { readonly last: number; readonly nowMs: number },
): LoadRow | undefined {
  const { buckets, newest } = service
  const oldest = Math.min(...buckets.keys())
  const atRest = newest < 0 || service.quiet >= REST_BUCKETS
  if (atRest && oldest > last) return undefined
  const from = atRest ? oldest : newest + 1
  const first = Math.max(from, last - BUCKETS_KEPT + 1)
  if (first > last) return undefined
  const silent = isSilent(service, nowMs)
  const arrivals: number[] = []
  const tokens: number[] = []
  for (let number = first; number <= last; number += 1) {
    const held = buckets.get(number)
    buckets.delete(number)
    const empty = silent ? -1 : 0
    arrivals.push(held?.arrivals ?? empty)
    tokens.push(held?.tokens ?? empty)
    service.quiet = held === undefined && !silent ? service.quiet + 1 : 0
  }
  // Whoever handed over the newest bucket saw that nothing came since.
  const gap = newest < 0 || service.lost ? 'unknown' : 'nothing'
  service.newest = last
  service.lost = false
  return { jobId, first, gap, arrivals, tokens }
}
