/** Counts requests for objectives. */
import { accept, type DecideContext, type Decision, type TimerRequest } from '@serverless-ai/kernel'
import { evaluateTimer } from './evaluate.ts'
import {
  type BatchFacts,
  type CountedRange,
  type CountRow,
  dayTimer,
  type RequestFact,
  type SlaCommand,
  type SlaEvent,
  silenceTimer,
  silentTimer,
} from './messages.ts'
import {
  type Counts,
  DAY_MS,
  dayOf,
  FUTURE_MS,
  GRACE_MS,
  intervalOf,
  isJobIndicator,
  MAX_SOURCES,
  type Objective,
  type ObjectiveState,
  openFrom,
  SETTLE_MS,
  SILENT_MS,
  type SlaState,
  type SourceState,
} from './model.ts'
import { Rows } from './rows.ts'
import { healthOf, lostTotal, newSource, takeBatch } from './sources.ts'

/** True when a time lies in declared maintenance. */
export const inMaintenance = ({ maintenance }: Pick<Objective, 'maintenance'>, atMs: number) =>
  maintenance.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs)

const MEASURES = { ttft: 'ttftUs', tpot: 'tpotUs', e2e: 'e2eUs' } as const

/** Its caller gave up when it was over the threshold already: no answer could have been in time. */
function isLate({ indicator, thresholdUs }: Objective, request: RequestFact): boolean {
  const { ttftUs, tpotUs, e2eUs } = request
  const least: Partial<Record<Objective['indicator'], number | undefined>> = {
    ttft: ttftUs ?? e2eUs,
    tpot: tpotUs,
    e2e: e2eUs,
  }
  return (least[indicator] ?? 0) > thresholdUs
}

/**
 * What a request is for an objective. Good is what was answered in full and within the threshold;
 * all else is bad, unless it is excluded, or an answered one has no measurement.
 */
export function judgeRequest(objective: Objective, request: RequestFact): keyof Counts {
  const { outcome } = request
  if (inMaintenance(objective, request.atMs)) return 'excluded'
  if (outcome === 'caller' || outcome === 'cancelled') {
    const late = outcome === 'cancelled' && isLate(objective, request)
    return objective.countCallerErrors || late ? 'bad' : 'excluded'
  }
  if (outcome === 'shed') return objective.excludeShed ? 'excluded' : 'bad'
  if (outcome !== 'ok') return 'bad'
  const { indicator } = objective
  if (indicator === 'availability' || isJobIndicator(indicator)) return 'good'
  const value = request[MEASURES[indicator]]
  if (value === undefined) return 'unknown'
  return value <= objective.thresholdUs ? 'good' : 'bad'
}

/** Objectives of requests that hold for a service, tenant and class. */
function objectivesFor(state: SlaState, request: RequestFact): readonly ObjectiveState[] {
  const name = state.names.get(request.jobId)
  return [...state.objectives.values()].filter(({ objective }) => {
    const { tenant, service } = objective
    if (isJobIndicator(objective.indicator)) return false
    if (tenant !== '' && tenant !== request.tenant) return false
    if (objective.class !== '' && objective.class !== request.class) return false
    return service === '' || service === request.jobId || service === name
  })
}

/** One count: all batches of a command. */
class Count {
  readonly #state: SlaState
  readonly #atMs: number
  readonly #openFromMs: number
  readonly #futureFromMs: number
  readonly #found = new Map<string, readonly ObjectiveState[]>()
  readonly #rows = new Rows()
  readonly #ranges: CountedRange[] = []
  readonly changed = new Map<string, SourceState>()
  #late = 0
  #future = 0
  #rejected = 0

  constructor(state: SlaState, atMs: number) {
    this.#state = state
    this.#atMs = atMs
    this.#openFromMs = openFrom(atMs)
    this.#futureFromMs = atMs + FUTURE_MS
  }

  take(batch: BatchFacts): void {
    const { source: name } = batch
    const before =
      this.changed.get(name) ?? this.#state.sources.get(name) ?? newSource(name, this.#atMs)
    const taken = takeBatch(before, batch)
    if (taken === undefined) return
    let late = 0
    let future = 0
    for (const request of batch.requests) {
      if (request.atMs >= this.#futureFromMs) {
        future += 1
        continue
      }
      if (request.atMs < this.#openFromMs) late += 1
      this.#add(request)
    }
    this.#late += late
    this.#future += future
    this.#rejected += batch.rejected
    this.#noteRange(batch)
    this.changed.set(name, this.#heard(taken, batch, { late, future }))
  }

  #add(request: RequestFact): void {
    const { jobId, tenant, class: name, atMs } = request
    const key = `${jobId}\n${tenant}\n${name}`
    let objectives = this.#found.get(key)
    if (objectives === undefined) {
      objectives = objectivesFor(this.#state, request)
      this.#found.set(key, objectives)
    }
    const late = atMs < this.#openFromMs
    for (const state of objectives) {
      const { objective } = state
      // What ended before the promise is not part of it.
      if (atMs < objective.createdMs) continue
      const column = late ? 'late' : judgeRequest(objective, request)
      const startMs = intervalOf(late ? this.#atMs : atMs)
      this.#rows.add({ state, tenant: objective.tenant || tenant, startMs, column })
    }
  }

  #noteRange({ source, bootId, seq }: BatchFacts): void {
    const last = this.#ranges.at(-1)
    if (last?.[0] === source && last[1] === bootId && last[3] === seq - 1) {
      this.#ranges[this.#ranges.length - 1] = [source, bootId, last[2], seq]
    } else {
      this.#ranges.push([source, bootId, seq, seq])
    }
  }

  #heard(
    source: SourceState,
    batch: BatchFacts,
    { late, future }: { late: number; future: number },
  ): SourceState {
    const atMs = this.#atMs
    const health = healthOf(source, batch, atMs)
    const advanced = batch.newestMs > source.newestMs
    return {
      ...source,
      health,
      busy: batch.busy ?? source.busy,
      heardMs: atMs,
      newestMs: Math.max(source.newestMs, batch.newestMs),
      advancedMs: advanced ? atMs : source.advancedMs,
      offsetMs: atMs - batch.sentMs,
      dropped: Math.max(source.dropped, batch.dropped),
      rejected: source.rejected + batch.rejected,
      future: source.future + future,
      late: source.late + late,
    }
  }

  /** Undefined when no batch was new. */
  event(): Extract<SlaEvent, { type: 'OutcomesCounted' }> | undefined {
    if (this.changed.size === 0) return undefined
    return {
      type: 'OutcomesCounted',
      number: this.#state.count + 1,
      batches: this.#ranges,
      rows: this.#rows.list(),
      sources: [...this.changed.values()],
      openFromMs: this.#openFromMs,
      futureFromMs: this.#futureFromMs,
      late: this.#late,
      future: this.#future,
      rejected: this.#rejected,
      lostTotal: lostTotal(this.#state, this.changed),
    }
  }
}

/** Timers that rows need: the close of days that they open, and the next evaluation. */
export function timersOf(rows: readonly CountRow[], state: SlaState, atMs: number): TimerRequest[] {
  const days = new Set<number>()
  let isBad = false
  for (const [objectiveId, tenant, startMs, , bad] of rows) {
    if (bad > 0) isBad = true
    const dayMs = dayOf(startMs)
    const ledger = state.objectives.get(objectiveId)?.ledgers.get(tenant)
    if (ledger?.open.has(dayMs) !== true) days.add(dayMs)
  }
  const closes = [...days].map((dayMs) => ({
    key: dayTimer(dayMs),
    dueMs: dayMs + DAY_MS + GRACE_MS + SETTLE_MS,
  }))
  return isBad ? [...closes, evaluateTimer(atMs)] : closes
}

/** Sources that have to go, so that new ones have room. */
function crowdedOut(state: SlaState, changed: ReadonlyMap<string, SourceState>): SlaEvent[] {
  const fresh = [...changed.keys()].filter((name) => !state.sources.has(name)).length
  const over = state.sources.size + fresh - MAX_SOURCES
  if (over <= 0) return []
  return [...state.sources.values()]
    .filter(({ source }) => !changed.has(source))
    .sort((a, b) => a.heardMs - b.heardMs)
    .slice(0, over)
    .map(({ source }) => ({ type: 'SourceForgotten', source }))
}

/** Counts batches; those that were counted before change nothing. */
export function countBatches(
  command: Extract<SlaCommand, { type: 'CountBatches' }>,
  state: SlaState,
  { atMs }: DecideContext,
): Decision<SlaEvent> {
  if (state.intakeSinceMs === 0) return accept<SlaEvent>([])
  const count = new Count(state, atMs)
  for (const batch of command.batches) count.take(batch)
  const counted = count.event()
  if (counted === undefined) return accept<SlaEvent>([])
  const events: SlaEvent[] = [...crowdedOut(state, count.changed), counted]
  for (const { source, health } of counted.sources) {
    const before = state.sources.get(source)?.health ?? 'OK'
    if (health !== before) events.push({ type: 'SourceJudged', source, health })
  }
  const timers = timersOf(counted.rows, state, atMs)
  const cancelTimers: string[] = []
  for (const source of counted.sources) {
    cancelTimers.push(silentTimer(source.source))
    if (source.busy || source.health !== 'OK') {
      timers.push({ key: silenceTimer(source.source), dueMs: atMs + SILENT_MS })
    } else {
      cancelTimers.push(silenceTimer(source.source))
    }
  }
  return accept(events, { timers, cancelTimers })
}
