/**
 * Days of a monitor in seconds: gateways send batches that come late, twice or never, start anew,
 * and measure nonsense; jobs are submitted, wait, end; leaders change and count the last minute
 * again. What was sent and published is returned, for a reader that does the sums another way.
 */
import { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import {
  RequestRecord,
  RequestRecord_Outcome,
  type Sample,
  type TelemetryBatch,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { canonicalJson } from '@serverless-ai/kernel'
import { batchFromProto } from '../adapters/telemetry.ts'
import { slaDecider } from '../core/decider.ts'
import type { JobFact } from '../core/messages.ts'
import type { ObjectiveWish } from '../core/model.ts'
import { DAY_0, Stage } from './stage.ts'

/** What the walk is made with. */
export interface WalkInit {
  readonly seed: number
  /** Requests that are sent at least. */
  readonly requests: number
}

/** What happened. */
export interface WalkOutcome {
  /** All batches that were ever sent, each once. */
  readonly sent: readonly TelemetryBatch[]
  /** Of those, how many never reached the monitor. */
  readonly lost: number
  /** Batches that reached it again. */
  readonly repeated: number
  readonly requests: number
  /** Public events of the monitor, in order. */
  readonly published: readonly { readonly type: string; readonly payload: Uint8Array }[]
  /** The scheduler's words, in order. */
  readonly jobs: readonly JobStateChanged[]
  readonly leaders: number
  /** Alerts that last two days after the last request. */
  readonly openBreaches: number
  /** Longest difference of states that should be one, empty = none. */
  readonly differs: string
}

/** Small, fast and seeded (mulberry32). */
function chanceOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

const TENANTS = ['team-a', 'team-b', 'team-c']
const CLASSES = ['interactive', 'batch']
const SERVICES = ['j-0-1', 'j-0-2']
const HOUR_MS = 3_600_000

const OBJECTIVES: readonly Partial<ObjectiveWish>[] = [
  {
    name: 'e2e',
    tenant: 'team-a',
    actions: [
      { action: 'scale', severity: 'page', afterMs: 0, class: '' },
      { action: 'shed', severity: 'page', afterMs: 60_000, class: 'batch' },
    ],
  },
  {
    name: 'all-available',
    tenant: '',
    indicator: 'availability',
    thresholdUs: 0,
    targetPpm: 950_000,
  },
  { name: 'ttft', tenant: 'team-b', indicator: 'ttft', class: 'interactive', service: 'chat' },
  { name: 'tpot', tenant: '', indicator: 'tpot', thresholdUs: 40_000, excludeShed: true },
  { name: 'strict', tenant: '', service: 'j-0-2', countCallerErrors: true, windowMs: 24 * HOUR_MS },
  { name: 'waits', tenant: '', indicator: 'queue_wait', thresholdUs: 120_000_000, queue: 'train' },
  { name: 'done', tenant: 'team-c', indicator: 'finish_by', thresholdUs: 600_000_000 },
]

interface Gateway {
  readonly source: string
  boot: number
  seq: number
}

class Walk {
  readonly stage: Stage
  readonly chance: () => number
  readonly gateways: Gateway[]
  readonly sent: TelemetryBatch[] = []
  readonly jobs: JobStateChanged[] = []
  /** Batches on their way, and when they come. */
  #coming: { readonly atMs: number; readonly batch: TelemetryBatch }[] = []
  /** Those of the last minute: what another leader counts again. */
  #heard: { readonly atMs: number; readonly batch: TelemetryBatch }[] = []
  #open: JobFact[] = []
  requests = 0
  lost = 0
  repeated = 0
  leaders = 1
  differs = ''
  #trouble = 0

  constructor(seed: number) {
    this.chance = chanceOf(seed)
    this.stage = new Stage(DAY_0 + Math.floor(this.chance() * 24 * HOUR_MS))
    this.gateways = Array.from({ length: 3 }, (_, n) => ({
      source: `gateway/r${n}`,
      boot: 1,
      seq: 0,
    }))
    this.stage.tell({ type: 'NameService', jobId: 'j-0-1', name: 'chat' })
    for (const one of OBJECTIVES) this.stage.create(one)
  }

  pick<T>(all: readonly T[]): T {
    const one = all[Math.floor(this.chance() * all.length)]
    if (one === undefined) throw new Error('nothing to pick from')
    return one
  }

  #outcome(): RequestRecord['outcome'] {
    const at = this.chance()
    // Trouble comes and goes, so that there are alerts.
    if (at < this.#trouble) return RequestRecord_Outcome.FAILED
    if (at < this.#trouble + 0.02) return RequestRecord_Outcome.CALLER_ERROR
    if (at < this.#trouble + 0.03) return RequestRecord_Outcome.SHED
    if (at < this.#trouble + 0.034) return RequestRecord_Outcome.CANCELLED
    if (at < this.#trouble + 0.037) return RequestRecord_Outcome.DEADLINE
    // Nobody sends that.
    if (at > 0.999) return RequestRecord_Outcome.UNSPECIFIED
    return RequestRecord_Outcome.OK
  }

  #sample(nowMs: number): Sample {
    const { chance } = this
    const e2eUs = Math.floor(chance() * 210_000)
    const isFuture = chance() < 0.001
    const request: RequestRecord = {
      ...RequestRecord.fromPartial({ requestId: `r${this.requests}`, outcome: this.#outcome() }),
      jobId: this.pick(SERVICES),
      tenant: this.pick(TENANTS),
      class: this.pick(CLASSES),
      e2eUs: BigInt(e2eUs),
      ...(chance() < 0.9 && { ttftUs: BigInt(Math.floor(e2eUs * (chance() < 0.001 ? 2 : 0.9))) }),
      ...(chance() < 0.8 && { tpotUs: BigInt(Math.floor(chance() * 42_000)) }),
    }
    this.requests += 1
    const atMs = Math.floor(nowMs - chance() * 1_000) + (isFuture ? 60_000 : 0)
    return { atMs: BigInt(atMs), value: { $case: 'request', value: request } }
  }

  /** A gateway sends what it has measured; it comes soon, late, twice or never. */
  send(gateway: Gateway): void {
    const { chance, stage } = this
    gateway.seq += 1
    const count = Math.floor(chance() * 80)
    const batch: TelemetryBatch = {
      source: gateway.source,
      bootId: `b${gateway.boot}`,
      seq: BigInt(gateway.seq),
      sentMs: BigInt(stage.atMs),
      droppedSamples: 0n,
      samples: Array.from({ length: count }, () => this.#sample(stage.atMs)),
    }
    this.sent.push(batch)
    const at = chance()
    if (at < 0.01) {
      this.lost += 1
      return
    }
    const delayMs = at < 0.9 ? chance() * 500 : at < 0.98 ? chance() * 50_000 : chance() * 300_000
    this.#coming.push({ atMs: stage.atMs + delayMs, batch })
    if (chance() < 0.05) {
      this.repeated += 1
      this.#coming.push({ atMs: stage.atMs + delayMs + chance() * 90_000, batch })
    }
  }

  /** What has come by now is counted. */
  count(): void {
    const { atMs } = this.stage
    const here = this.#coming.filter((one) => one.atMs <= atMs)
    this.#coming = this.#coming.filter((one) => one.atMs > atMs)
    this.#heard = [...this.#heard, ...here].filter((one) => one.atMs > atMs - 60_000)
    this.#tell(here.map(({ batch }) => batch))
  }

  #tell(batches: readonly TelemetryBatch[]): void {
    const facts = batches.flatMap((batch) => batchFromProto(batch) ?? [])
    if (facts.length > 0) this.stage.tell({ type: 'CountBatches', batches: facts })
  }

  /** Another process leads: it folds the log, and counts what it has kept. */
  changeLeader(): void {
    const { stage } = this
    this.leaders += 1
    const told = canonicalJson(slaDecider.toJson(stage.state))
    let folded = slaDecider.initial()
    for (const { event, atMs } of stage.events) folded = slaDecider.evolve(folded, event, atMs)
    const again = canonicalJson(slaDecider.toJson(folded))
    if (again !== told) this.differs = `${told.length} and ${again.length} characters`
    stage.state = slaDecider.fromJson(JSON.parse(told))
    const batches = this.#heard.map(({ batch }) => batch)
    this.repeated += batches.length
    this.#tell(batches)
  }

  #say(job: JobFact): void {
    this.jobs.push(
      JobStateChanged.fromPartial({
        jobId: job.jobId,
        tenant: job.tenant,
        queue: job.queue,
        state: job.state,
        code: job.code,
        atMs: BigInt(job.atMs),
        queuedMs: BigInt(job.queuedMs),
      }),
    )
    this.stage.tell({ type: 'NoteJob', job })
  }

  /** A job goes on, or another one is submitted. */
  stepJobs(): void {
    const { chance, stage } = this
    const { atMs } = stage
    if (chance() < 0.5 || this.#open.length === 0) {
      const jobId = `j-0-${this.jobs.length.toString(16).padStart(12, '0')}`
      const queue = this.pick(['train', 'other'])
      const tenant = this.pick(TENANTS)
      const about = { jobId, tenant, queue, name: 'job', serves: false, state: 'Queued', code: '' }
      const job = { ...about, atMs, queuedMs: atMs }
      this.#open.push(job)
      this.#say(job)
      return
    }
    const job = this.pick(this.#open)
    const state =
      job.state === 'Queued'
        ? this.pick(['Queued', 'Starting', 'Starting', 'Cancelled'])
        : this.pick(['Running', 'Succeeded', 'Failed', 'Recovering'])
    const code = state === 'Failed' ? this.pick(['USER_ERROR', 'RETRY_BUDGET_SPENT']) : ''
    const now = { ...job, state, code, atMs }
    this.#open = this.#open.filter((one) => one.jobId !== job.jobId)
    if (!['Cancelled', 'Succeeded', 'Failed'].includes(state)) this.#open.push(now)
    this.#say(now)
  }

  /** Objectives end and come back, are watched otherwise, get maintenance. */
  changeObjectives(): void {
    const { stage } = this
    const { objective } = this.pick([...stage.state.objectives.values()])
    const { objectiveId, version, name, maintenance: kept } = objective
    if (this.chance() < 0.3) {
      stage.tell({ type: 'DeleteObjective', caller: '', objectiveId })
      stage.create(OBJECTIVES.find((one) => one.name === name))
      return
    }
    const fromMs = stage.atMs + 30_000
    const more = { fromMs, untilMs: fromMs + 20_000, reason: 'disks' }
    const minSample = 5 + Math.floor(this.chance() * 20)
    const maintenance = kept.length < 60 ? [...kept, more] : kept
    const wish = { ...objective, maintenance, minSample }
    stage.tell({ type: 'UpdateObjective', caller: '', objectiveId, version, wish })
  }

  /** A second goes by. */
  second(): void {
    const { chance, stage } = this
    for (const gateway of this.gateways) {
      if (chance() < 0.0005) {
        gateway.boot += 1
        gateway.seq = 0
      }
      this.send(gateway)
    }
    if (chance() < 0.02) this.#trouble = chance() < 0.5 ? 0 : chance() * 0.5
    if (chance() < 0.1) this.stepJobs()
    if (chance() < 0.005) this.changeObjectives()
    stage.pass(1_000)
    this.count()
  }

  /** All that is on its way comes, and the days are closed. */
  end(): void {
    for (let n = 0; n < 7; n += 1) {
      this.stage.pass(60_000)
      this.count()
    }
    this.stage.pass(50 * HOUR_MS)
  }
}

/** Walks; the same seed walks the same way. */
export function runLedgerWalk({ seed, requests }: WalkInit): WalkOutcome {
  const walk = new Walk(seed)
  const changes = 4
  for (let next = 1; walk.requests < requests; ) {
    walk.second()
    if (walk.requests >= (requests * next) / changes) {
      next += 1
      walk.changeLeader()
      // Nights are quiet.
      walk.stage.pass(7 * HOUR_MS)
    }
  }
  walk.end()
  const { sent, jobs, lost, repeated, leaders, differs, stage } = walk
  const objectives = [...stage.state.objectives.values()]
  const openBreaches = objectives.reduce((sum, { breaches }) => sum + breaches.size, 0)
  const published = stage.published.map(({ type, payload }) => ({ type, payload }))
  const { requests: all } = walk
  return { sent, jobs, lost, repeated, leaders, differs, openBreaches, published, requests: all }
}
