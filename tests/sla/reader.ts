/**
 * Does the sums of the SLA monitor again, from public facts alone: the measurements as they were
 * sent, the scheduler's events, and the monitor's public events. It shares no code with the monitor
 * and goes another way: whole histories and sums over all that was told, no rings, no marks.
 */
import { createHash } from 'node:crypto'
import type { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import {
  ActionRequested,
  ObjectiveBreached,
  ObjectiveChanged,
  ObjectiveRecovered,
  OutcomesCounted,
  StatementClosed,
  TelemetryCounted,
} from '@serverless-ai/contracts/events/v1/sla_monitor'
import { EVENTS } from '@serverless-ai/contracts/names'
import {
  type Breach,
  type Counts,
  Indicator,
  type Objective,
  type Statement,
} from '@serverless-ai/contracts/objective/v1/objective'
import {
  RequestRecord_Outcome as Outcome,
  type RequestRecord,
  type TelemetryBatch,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'

const INTERVAL = 5_000
const DAY = 86_400_000
const COLUMNS = ['good', 'bad', 'excluded', 'unknown', 'late'] as const
type Column = (typeof COLUMNS)[number]

/** What is read. */
export interface PublicFacts {
  readonly sent: readonly TelemetryBatch[]
  readonly jobs: readonly JobStateChanged[]
  readonly published: readonly { readonly type: string; readonly payload: Uint8Array }[]
}

/** What came out. `differences`: sum of all absolute differences, and what else is wrong. */
export interface Reading {
  readonly differences: number
  readonly wrong: readonly string[]
  /** Events that were judged again, for each objective. */
  readonly events: number
  readonly statements: number
  readonly breaches: number
  readonly actions: number
  readonly countedBatches: number
  readonly lostTold: number
}

const floor = (ms: number, step: number): number => Math.floor(ms / step) * step
const numbers = (counts: Counts | undefined) =>
  COLUMNS.map((column) => Number(counts?.[column] ?? 0))

/** A line of the account: what a tenant got of an objective in an interval. */
interface Line {
  readonly objectiveId: string
  readonly tenant: string
  readonly startMs: number
  readonly column: Column
}

const impossible = ({ outcome, e2eUs, ttftUs = 0n, queueUs = 0n }: RequestRecord): boolean =>
  outcome === Outcome.UNSPECIFIED || ttftUs > e2eUs || queueUs > e2eUs

const inMaintenance = ({ exclusions }: Objective, atMs: number): boolean =>
  exclusions?.maintenance.some((one) => atMs >= one.fromMs && atMs < one.untilMs) === true

function columnOf(objective: Objective, request: RequestRecord, atMs: number): Column {
  const { exclusions, thresholdUs: limit, indicator } = objective
  if (inMaintenance(objective, atMs)) return 'excluded'
  switch (request.outcome) {
    case Outcome.CALLER_ERROR:
      return exclusions?.countCallerErrors === true ? 'bad' : 'excluded'
    case Outcome.CANCELLED:
      if (exclusions?.countCallerErrors === true) return 'bad'
      // Too late already when the caller gave up.
      if (indicator === Indicator.E2E && request.e2eUs > limit) return 'bad'
      if (indicator === Indicator.TTFT && (request.ttftUs ?? request.e2eUs) > limit) return 'bad'
      if (indicator === Indicator.TPOT && (request.tpotUs ?? 0n) > limit) return 'bad'
      return 'excluded'
    case Outcome.SHED:
      return exclusions?.shed === true ? 'excluded' : 'bad'
    case Outcome.FAILED:
    case Outcome.DEADLINE:
      return 'bad'
    default:
  }
  const measured = new Map<number, bigint | undefined>([
    [Indicator.TTFT, request.ttftUs],
    [Indicator.TPOT, request.tpotUs],
    [Indicator.E2E, request.e2eUs],
    [Indicator.AVAILABILITY, 0n],
  ])
  const value = measured.get(indicator)
  if (value === undefined) return 'unknown'
  return value <= limit ? 'good' : 'bad'
}

/** What became of a job, from its whole history. */
function jobLine(
  objective: Objective,
  history: readonly JobStateChanged[],
): { column: Column; atMs: number } {
  const submitted = Number(history[0]?.atMs ?? 0)
  const due = submitted + Number(objective.thresholdUs) / 1_000
  const wanted =
    objective.indicator === Indicator.QUEUE_WAIT
      ? ['Admitted', 'Starting', 'Running', 'Succeeded']
      : ['Succeeded']
  const inTime = history.filter(({ atMs }) => Number(atMs) <= due)
  const reached = inTime.find(({ state }) => wanted.includes(state))
  if (reached !== undefined) return { column: 'good', atMs: Number(reached.atMs) }
  const ended = inTime.find(({ state }) => ['Failed', 'Cancelled'].includes(state))
  if (ended === undefined) return { column: 'bad', atMs: due }
  const own = ended.state === 'Cancelled' || ended.code === 'USER_ERROR'
  return { column: own ? 'excluded' : 'bad', atMs: Number(ended.atMs) }
}

class Reader {
  readonly #batches = new Map<string, TelemetryBatch>()
  readonly #histories: Map<string, JobStateChanged[]>
  readonly #objectives = new Map<string, Objective>()
  readonly #names: ReadonlyMap<string, string>
  /** What is expected of a count and not told yet: line → events. */
  #expected = new Map<string, number>()
  readonly #taken = new Set<string>()
  /** All that was told, for windows and days. */
  readonly #told: (Line & { readonly events: number })[] = []
  readonly #ledgers = new Map<string, { number: bigint; hash: string; closed: Set<number> }>()
  readonly wrong: string[] = []
  differences = 0
  events = 0
  statements = 0
  breaches = 0
  actions = 0
  lostTold = 0

  constructor(facts: PublicFacts, names: ReadonlyMap<string, string>) {
    for (const batch of facts.sent) {
      this.#batches.set(`${batch.source} ${batch.bootId} ${batch.seq}`, batch)
    }
    this.#histories = Map.groupBy(facts.jobs, ({ jobId }) => jobId)
    this.#names = names
  }

  get countedBatches(): number {
    return this.#taken.size
  }

  #fail(text: string): void {
    this.differences += 1
    if (this.wrong.length < 20) this.wrong.push(text)
  }

  read(event: { readonly type: string; readonly payload: Uint8Array }): void {
    const { payload } = event
    const name = event.type.slice(EVENTS.length)
    // A count is told in one piece: what was expected of the one before has been told by now.
    if (name !== 'OutcomesCounted') this.settle()
    switch (name) {
      case 'ObjectiveChanged': {
        const { objective, deleted } = ObjectiveChanged.decode(payload)
        if (objective === undefined) {
          this.#fail('an objective is missing')
          return
        }
        if (deleted) this.#objectives.delete(objective.objectiveId)
        else this.#objectives.set(objective.objectiveId, objective)
        return
      }
      case 'TelemetryCounted':
        this.#count(TelemetryCounted.decode(payload))
        return
      case 'OutcomesCounted':
        this.#compare(OutcomesCounted.decode(payload))
        return
      case 'ObjectiveBreached':
        this.#breach(ObjectiveBreached.decode(payload).breach, true)
        return
      case 'ObjectiveRecovered':
        this.#breach(ObjectiveRecovered.decode(payload).breach, false)
        return
      case 'ActionRequested':
        this.actions += ActionRequested.decode(payload).action === undefined ? 0 : 1
        return
      case 'StatementClosed':
        this.#statement(StatementClosed.decode(payload).statement)
        return
      default:
    }
  }

  /** Nothing of a count may be left. */
  settle(): void {
    for (const [key, events] of this.#expected) {
      this.differences += Math.abs(events)
      if (events !== 0) this.wrong.push(`not told: ${key} × ${events}`)
    }
    this.#expected = new Map()
  }

  #expect(line: Line): void {
    const key = `${line.objectiveId} ${line.tenant} ${line.startMs} ${line.column}`
    this.#expected.set(key, (this.#expected.get(key) ?? 0) + 1)
    this.events += 1
  }

  #count(counted: TelemetryCounted): void {
    const [openFrom, future, at] = [counted.openFromMs, counted.futureFromMs, counted.atMs].map(
      Number,
    )
    this.lostTold = Number(counted.lostBatchesTotal)
    let refused = 0
    for (const { source, bootId, firstSeq, lastSeq } of counted.batches) {
      for (let seq = firstSeq; seq <= lastSeq; seq += 1n) {
        const key = `${source} ${bootId} ${seq}`
        const batch = this.#batches.get(key)
        if (batch === undefined) this.#fail(`${key} was never sent`)
        if (this.#taken.has(key)) this.#fail(`${key} is counted twice`)
        this.#taken.add(key)
        for (const { atMs, value } of batch?.samples ?? []) {
          if (value?.$case !== 'request') continue
          if (impossible(value.value)) refused += 1
          else if (Number(atMs) < (future ?? 0)) {
            this.#request(value.value, Number(atMs), { openFrom: openFrom ?? 0, at: at ?? 0 })
          }
        }
      }
    }
    if (refused !== Number(counted.rejectedSamples)) this.#fail(`${refused} impossible samples`)
  }

  #request(request: RequestRecord, endedMs: number, when: { openFrom: number; at: number }): void {
    for (const objective of this.#objectives.values()) {
      const { tenant, service, class: name, createdMs, objectiveId } = objective
      const isOther =
        objective.indicator === Indicator.QUEUE_WAIT ||
        objective.indicator === Indicator.FINISH_BY ||
        (tenant !== '' && tenant !== request.tenant) ||
        (name !== '' && name !== request.class) ||
        !['', request.jobId, this.#names.get(request.jobId) ?? request.jobId].includes(service)
      if (isOther || endedMs < Number(createdMs)) continue
      const isLate = endedMs < when.openFrom
      const startMs = floor(isLate ? when.at : endedMs, INTERVAL)
      const column = isLate ? 'late' : columnOf(objective, request, endedMs)
      this.#expect({ objectiveId, tenant: request.tenant, startMs, column })
    }
  }

  #compare(outcomes: OutcomesCounted): void {
    const { objectiveId, tenant, jobId } = outcomes
    if (jobId !== '') this.#job(outcomes)
    for (const { startMs, counts } of outcomes.intervals) {
      for (const [index, events] of numbers(counts).entries()) {
        const column = COLUMNS[index]
        if (column === undefined || events === 0) continue
        const line = { objectiveId, tenant, startMs: Number(startMs), column }
        const key = `${objectiveId} ${tenant} ${line.startMs} ${column}`
        const expected = this.#expected.get(key) ?? 0
        if (expected !== events) {
          this.differences += Math.abs(expected - events)
          this.wrong.push(`${key}: ${events} told, ${expected} expected`)
        }
        this.#expected.delete(key)
        this.#told.push({ ...line, events })
      }
    }
  }

  #job({ objectiveId, jobId, atMs: counted, tenant }: OutcomesCounted): void {
    const objective = this.#objectives.get(objectiveId)
    const history = this.#histories.get(jobId)
    if (objective === undefined || history === undefined) {
      this.#fail(`unknown job ${jobId}`)
      return
    }
    const { column: judged, atMs } = jobLine(objective, history)
    const column = inMaintenance(objective, atMs) ? 'excluded' : judged
    const at = Number(counted)
    const isOpen = atMs >= floor(at - 60_000, INTERVAL) && atMs <= at
    this.#expect({ objectiveId, tenant, column, startMs: floor(isOpen ? atMs : at, INTERVAL) })
  }

  /** Good and bad ones in the window before `endMs`, of all that was told so far. */
  #window(objectiveId: string, endMs: number, windowMs: number): { events: number; bad: number } {
    let events = 0
    let bad = 0
    for (const line of this.#told) {
      if (line.objectiveId !== objectiveId) continue
      if (line.startMs < endMs - windowMs || line.startMs >= endMs) continue
      if (line.column === 'good' || line.column === 'bad') events += line.events
      if (line.column === 'bad') bad += line.events
    }
    return { events, bad }
  }

  #breach(breach: Breach | undefined, begins: boolean): void {
    const rule = breach?.rule
    const objective = this.#objectives.get(breach?.objectiveId ?? '')
    if (breach === undefined || rule === undefined || objective === undefined) {
      this.#fail('a breach of nothing')
      return
    }
    // One that ends with its rule or its objective says nothing about calm.
    if (!begins && breach.cause !== 'CALM') return
    const endMs = floor(Number(begins ? breach.fromMs : breach.untilMs), Number(rule.intervalMs))
    const long = this.#window(objective.objectiveId, endMs, Number(rule.longWindowMs))
    const short = this.#window(objective.objectiveId, endMs, Number(rule.shortWindowMs))
    const limit = ((rule.budgetPpm / 1e6) * Number(objective.windowMs)) / Number(rule.longWindowMs)
    const burn = ({ events, bad }: { events: number; bad: number }) =>
      events === 0 ? 0 : bad / events / (1 - objective.targetPpm / 1e6)
    const burns = burn(long) >= limit - 1e-9 && burn(short) >= limit - 1e-9
    if (burns !== begins) this.#fail(`${breach.breachId}: burns ${burn(long)}, ${burn(short)}`)
    if (!begins) return
    this.breaches += 1
    const told = [breach.longEvents, breach.longBad, breach.shortEvents, breach.shortBad].map(
      Number,
    )
    const found = [long.events, long.bad, short.events, short.bad]
    if (`${told}` !== `${found}`) this.#fail(`${breach.breachId}: ${told} told, ${found} found`)
    if (long.events < objective.minSample || long.bad < rule.minBad) {
      this.#fail(`${breach.breachId}: too few events`)
    }
  }

  #statement(statement: Statement | undefined): void {
    if (statement === undefined) {
      this.#fail('a statement is missing')
      return
    }
    this.statements += 1
    const { objectiveId, tenant } = statement
    const dayMs = Number(statement.dayMs)
    const sums = { good: 0, bad: 0, excluded: 0, unknown: 0, late: 0 }
    for (const line of this.#told) {
      if (line.objectiveId !== objectiveId || line.tenant !== tenant) continue
      if (floor(line.startMs, DAY) === dayMs) sums[line.column] += line.events
    }
    for (const [index, told] of numbers(statement.counts).entries()) {
      const column = COLUMNS[index]
      if (column !== undefined) this.differences += Math.abs(told - sums[column])
    }
    const key = `${objectiveId} ${tenant}`
    const ledger = this.#ledgers.get(key) ?? {
      number: 0n,
      hash: '0'.repeat(64),
      closed: new Set<number>(),
    }
    const lines = [
      statement.previousHash,
      objectiveId,
      tenant,
      statement.number,
      dayMs,
      ...numbers(statement.counts),
      statement.targetPpm,
      statement.throughCount,
      statement.lostBatchesTotal,
      statement.closedMs,
    ]
    const text = lines.map((line) => `${line}\n`).join('')
    const hash = createHash('sha256').update(text).digest('hex')
    if (statement.previousHash !== ledger.hash) this.#fail(`${key}: the chain is broken`)
    if (statement.hash !== hash) this.#fail(`${key}: another hash`)
    if (statement.number !== ledger.number + 1n) this.#fail(`${key}: number ${statement.number}`)
    if (ledger.closed.has(dayMs)) this.#fail(`${key}: day ${dayMs} is closed twice`)
    ledger.closed.add(dayMs)
    this.#ledgers.set(key, { ...ledger, number: statement.number, hash })
  }

  /** Days with counts that no statement tells. */
  openDays(): number {
    const days = new Set(
      this.#told.map((line) => `${line.objectiveId} ${line.tenant} ${floor(line.startMs, DAY)}`),
    )
    for (const [key, { closed }] of this.#ledgers)
      for (const day of closed) days.delete(`${key} ${day}`)
    return days.size
  }
}

/** Reads it all. `names`: job id → name of services. */
export function readLedger(facts: PublicFacts, names: ReadonlyMap<string, string>): Reading {
  const reader = new Reader(facts, names)
  for (const event of facts.published) reader.read(event)
  reader.settle()
  const open = reader.openDays()
  const wrong = open === 0 ? reader.wrong : [...reader.wrong, `${open} days are not closed`]
  const { differences, events, statements, breaches, actions, countedBatches, lostTold } = reader
  const rest = { events, statements, breaches, actions, countedBatches, lostTold }
  return { differences: differences + open, wrong, ...rest }
}
