/** Gathers what gates tell for the next step. Not in the log: each replica has its own. */
import { GAP_MAX_MS } from './limits.ts'
import type { Signals } from './messages.ts'
import type { Clause } from './model.ts'
import { type BatchFacts, type EndedFact, endedOf, type LoadFact } from './signal-facts.ts'

/** Now, by both clocks of this process, ms. */
export interface Moment {
  readonly wallMs: number
  /** Only goes forward. */
  readonly monoMs: number
}

/** A source that says nothing for so long is silent. */
const SILENT_MS = 10_000
/** What gates that are there have told within this; until then nothing is known of silence. */
const SETTLE_MS = 15_000
/** A source that held requests and is silent for so long is forgotten. */
const FORGET_MS = 600_000
/** A service is looked at once in a step, and no step is longer than 60 s. */
const WATCHED_MS = 65_000
/** A clock may be so far ahead, or behind, of this one. */
const AHEAD_MS = 5_000
const BEHIND_MS = 60_000
/** No gate holds more of one service; what is above is a fault. */
const PLAUSIBLE = 1_000_000
/** Requests that ended and wait for a step; of one service. */
const ENDED_MAX = 50_000
/** Services that are gathered for, and sources of one. */
const SERVICES_MAX = 10_000
const SOURCES_MAX = 256

interface Entry {
  readonly bootId: string
  arrivedTotal: number
  /** Of those to come with the next load, so many ended and were counted already. */
  early: number
  inside: number
  held: number
  /** Wall clock of the gate at that. */
  atMs: number
  /** When it was heard, by the clock that only goes forward. */
  heardMs: number
  /** Age of the load when it was heard; below 0: it claims to be from the future. */
  lagMs: number
  /** This clock less the gate's, as far as batches that came fast can tell. */
  offsetMs: number
  /** Wall clock of this process when the gate said that it holds requests; 0 = it did not. */
  demandedMs: number
}

interface Book {
  readonly entries: Map<string, Entry>
  came: number
  absurd: boolean
  ended: EndedFact[]
  endedAtMs: number
  /** Somebody has read it. */
  read: boolean
  /** When anything was told of it last, or was not known; it listens since then otherwise. */
  noisyMs: number
  /** How long nothing had been told when it was read last. */
  quietMs: number
  /** Since when it counts: it was read or begun then, ms. */
  countsMs: number
}

const newBook = (sinceMs: number, countsMs: number): Book => ({
  entries: new Map(),
  came: 0,
  absurd: false,
  ended: [],
  endedAtMs: 0,
  read: false,
  noisyMs: sinceMs,
  quietMs: 0,
  countsMs,
})

/** Nobody reads it: what was counted is of the past, and no reason to decide anything now. */
function beginAnew(book: Book, monoMs: number): void {
  book.came = 0
  book.ended = []
  book.absurd = false
  book.quietMs = 0
  book.countsMs = monoMs
}

/** Age of a sample when its batch is heard; a clock that is off by little is no age. */
function lagOf(batch: Pick<BatchFacts, 'sentMs'>, atMs: number, wallMs: number): number {
  const ahead = Math.max(batch.sentMs, atMs) - wallMs
  if (ahead > AHEAD_MS) return -ahead
  const behind = wallMs - batch.sentMs
  return Math.max(0, batch.sentMs - atMs) + (behind > BEHIND_MS ? behind : 0)
}

/**
 * Of requests that came while batches of their gate did not, those since the book was read: it is
 * supposed that they came evenly. What is there now did not come before.
 */
function lately(
  delta: number,
  of: { book: Book; batch: BatchFacts; there: number; monoMs: number },
): number {
  const { book, batch, there, monoMs } = of
  if (batch.missingMs <= SILENT_MS) return delta
  const share = Math.min(1, (monoMs - book.countsMs) / batch.missingMs)
  return Math.max(Math.min(delta, there), Math.round(delta * share))
}

const isBusy = ({ inside, held }: Entry): boolean => inside + held > 0

/** What gates told, by service. */
export class SignalBook {
  readonly #books = new Map<string, Book>()
  /** Since when this process listens. */
  readonly #sinceMs: number

  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs
  }

  #book(jobId: string, monoMs: number): Book | undefined {
    const known = this.#books.get(jobId)
    if (known !== undefined) {
      if (monoMs - known.countsMs > WATCHED_MS) beginAnew(known, monoMs)
      return known
    }
    if (this.#books.size >= SERVICES_MAX) return undefined
    const book = newBook(this.#sinceMs, monoMs)
    this.#books.set(jobId, book)
    return book
  }

  /** Services of which anything is known. */
  get services(): number {
    return this.#books.size
  }

  /** Takes a batch; answers the services that have nothing to do any more. */
  take(batch: BatchFacts, { wallMs, monoMs }: Moment): readonly string[] {
    const told = new Set([...batch.loads, ...batch.ended].map(({ jobId }) => jobId))
    const before = [...told].filter((jobId) => this.#isBusy(jobId))
    const samples = [
      ...batch.loads.map((load) => ({ atMs: load.atMs, load })),
      ...batch.ended.map((request) => ({ atMs: request.atMs, request })),
    ].sort((a, b) => a.atMs - b.atMs)
    for (const sample of samples) {
      if ('load' in sample) this.#load(batch, sample.load, { wallMs, monoMs })
      else this.#ended(batch.source, sample.request, monoMs)
    }
    return before.filter((jobId) => !this.#isBusy(jobId))
  }

  #isBusy(jobId: string): boolean {
    const entries = this.#books.get(jobId)?.entries.values() ?? []
    return [...entries].some(isBusy)
  }

  #ended(source: string, request: EndedFact, monoMs: number): void {
    const book = this.#book(request.jobId, monoMs)
    if (book === undefined || book.ended.length >= ENDED_MAX) return
    book.ended.push(request)
    book.endedAtMs = monoMs
    book.noisyMs = monoMs
    const entry = book.entries.get(source)
    if (entry === undefined || request.atMs <= entry.atMs) return
    // It is inside no more, whatever the load before it said; or it came after that.
    if (request.arrivedMs > entry.atMs) {
      entry.early += 1
      book.came += 1
      if (entry.held > 0) entry.held -= 1
    } else if (entry.inside > 0 && request.queueUs !== undefined) entry.inside -= 1
    else if (entry.held > 0) entry.held -= 1
  }

  #load(batch: BatchFacts, load: LoadFact, { wallMs, monoMs }: Moment): void {
    const book = this.#book(load.jobId, monoMs)
    if (book === undefined) return
    const { inside, held, arrivedTotal } = load
    if (inside > PLAUSIBLE || held > PLAUSIBLE || !Number.isSafeInteger(arrivedTotal)) {
      book.absurd = true
      return
    }
    const { source, bootId, sentMs } = batch
    const lagMs = lagOf({ sentMs }, load.atMs, wallMs)
    const before = book.entries.get(source)
    const known = before?.bootId === bootId ? before : undefined
    if (known === undefined && book.entries.size >= SOURCES_MAX && before === undefined) return
    const delta = arrivedTotal - (known?.arrivedTotal ?? 0)
    // Of a gate that is heard for the first time, and one whose counter went back, only those that
    // are there came just now.
    const there = inside + held
    const fresh = known === undefined || delta < 0
    const came = fresh
      ? Math.min(arrivedTotal, there)
      : lately(delta, { book, batch, there, monoMs })
    if (came > PLAUSIBLE) book.absurd = true
    else if (lagMs >= 0) book.came += Math.max(0, came - (before?.early ?? 0))
    if (batch.missingMs > SILENT_MS) book.quietMs = 0
    if (came > 0 || there > 0 || (before !== undefined && isBusy(before))) {
      book.noisyMs = monoMs
    }
    const { atMs } = load
    const offsetMs = Math.min(known?.offsetMs ?? Number.POSITIVE_INFINITY, wallMs - sentMs)
    const demandedMs = before?.demandedMs ?? 0
    // The bus may be slower than what was said at once: what is older takes nothing of it back.
    const isOlder = atMs + offsetMs < demandedMs
    const now = isOlder ? Math.max(held, before?.held ?? 0) : held
    const times = { atMs, heardMs: monoMs, lagMs, offsetMs, demandedMs }
    book.entries.set(source, { bootId, arrivedTotal, early: 0, inside, held: now, ...times })
  }

  /** A gate says at once that it holds requests. */
  demand(
    about: { readonly jobId: string; readonly gateway: string; readonly queued: number },
    { wallMs, monoMs }: Moment,
  ): void {
    const book = this.#book(about.jobId, monoMs)
    if (book === undefined) return
    const { gateway, queued } = about
    book.noisyMs = monoMs
    const known = book.entries.get(gateway)
    if (known === undefined) {
      if (book.entries.size >= SOURCES_MAX) return
      const base = { bootId: '', arrivedTotal: 0, early: 0, inside: 0, atMs: 0, lagMs: 0 }
      const now = { held: queued, heardMs: monoMs, offsetMs: 0, demandedMs: wallMs }
      book.entries.set(gateway, { ...base, ...now })
      return
    }
    known.held = queued
    known.heardMs = monoMs
    known.lagMs = 0
    known.demandedMs = wallMs
  }

  /** Forgets services that are no targets. */
  keep(isTarget: (jobId: string) => boolean): void {
    for (const jobId of this.#books.keys()) if (!isTarget(jobId)) this.#books.delete(jobId)
  }

  /** What is known of a service, with the rest before; forgets what was counted for it. */
  row(
    jobId: string,
    of: { readonly clauses: readonly Clause[]; readonly seeds: readonly string[] },
    moment: Moment,
  ): Signals {
    const { monoMs } = moment
    const book = this.#book(jobId, monoMs) ?? newBook(monoMs, monoMs)
    const { quietMs } = book
    const row = this.#row(book, jobId, of, moment)
    const { came, held, inside, ended } = row
    const nothing = [came, held, inside].every((gauge) => gauge?.[0] === 0)
    if (nothing && ended === undefined && row.busy.length === 0) {
      book.quietMs = monoMs - book.noisyMs
      return row
    }
    book.noisyMs = monoMs
    book.quietMs = 0
    // A silent gate says nothing. Where nobody looked for a while it began anew, without a rest.
    const known = came !== undefined && row.silent === undefined
    return known && quietMs > GAP_MAX_MS ? { ...row, restMs: Math.round(quietMs) } : row
  }

  /**
   * What is known of a service, and forgets what was counted for it.
   *
   * @param seeds gates that held requests at their last word, as the log knows it
   */
  #row(
    book: Book,
    jobId: string,
    of: { readonly clauses: readonly Clause[]; readonly seeds: readonly string[] },
    { monoMs }: Moment,
  ): Signals {
    const { entries, came, ended, absurd } = book
    book.came = 0
    book.ended = []
    book.absurd = false
    const countedMs = Math.round(monoMs - book.countsMs)
    // A book that begins now has counted for no time that says anything of a rate.
    const spanMs = !book.read && countedMs <= GAP_MAX_MS ? undefined : countedMs
    book.read = true
    book.countsMs = monoMs
    for (const [source, entry] of entries) {
      if (monoMs - entry.heardMs <= FORGET_MS) continue
      if (isBusy(entry)) book.noisyMs = monoMs
      entries.delete(source)
    }
    const listensMs = monoMs - this.#sinceMs
    // Who held requests before this process listened, and has not been heard since.
    const unheard = listensMs > FORGET_MS ? [] : of.seeds.filter((seed) => !entries.has(seed))
    const ages = [...entries].map(([source, entry]) => {
      const silentMs = monoMs - entry.heardMs
      const ageMs = entry.lagMs < 0 ? entry.lagMs : entry.lagMs + silentMs
      return { source, entry, ageMs, silent: silentMs > SILENT_MS }
    })
    const busy = [
      ...ages.filter(({ entry }) => isBusy(entry)).map(({ source }) => source),
      ...unheard,
    ]
    const base = {
      jobId,
      ...(spanMs === undefined ? {} : { spanMs }),
      busy: busy.slice(0, 16),
      ...endedOf(ended, of.clauses, {
        ageMs: Math.max(0, Math.round(monoMs - book.endedAtMs)),
        spanMs,
      }),
    }
    if (absurd) return { ...base, came: [-1, 0], held: [-1, 0], inside: [-1, 0] }
    const fresh = ages.filter(({ silent }) => !silent)
    // Gates with nothing to do say nothing: that is no silence.
    const mute = ages.filter(({ silent, entry }) => silent && isBusy(entry))
    const silent = mute.length + unheard.length
    const told = fresh.length > 0 ? fresh : mute
    if (told.length === 0) {
      const quiet = unheard.length === 0 && (ages.length > 0 || listensMs >= SETTLE_MS)
      return quiet ? { ...base, came: [0, 0], held: [0, 0], inside: [0, 0] } : base
    }
    const each = told.map((one) => one.ageMs)
    const youngest = Math.min(...each)
    const ageMs = Math.round(youngest < 0 ? youngest : Math.max(...each))
    const sum = (pick: (entry: Entry) => number) =>
      told.reduce((all, { entry }) => all + pick(entry), 0)
    const held = sum((entry) => entry.held)
    const inside = sum((entry) => entry.inside)
    const gauges: Signals = {
      ...base,
      came: [came, ageMs],
      held: [held, ageMs],
      inside: [inside, ageMs],
    }
    return silent > 0 && fresh.length > 0 ? { ...gauges, silent } : gauges
  }
}
