/** At random through the whole core: services and training on one fleet, and what can go wrong. */
import { canonicalJson } from '@serverless-ai/kernel'
import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import { isTraining, tasksOf } from '../core/control.ts'
import { autoscalerDecider } from '../core/decider.ts'
import type { AutoscalerEvent, Signals } from '../core/messages.ts'
import type { ScaleDecision, ScaleView, Target } from '../core/model.ts'
import { rowsToStep } from '../core/step.ts'
import { Stage, scale, settings } from './stage.ts'

/** What a walk came by, to see that it did not pass by the interesting parts. */
export interface CoreWalkResult {
  readonly steps: number
  readonly applied: number
  readonly advised: number
  readonly refused: number
  readonly inPart: number
  readonly gaveWay: number
  readonly cameBack: number
  readonly toZero: number
  readonly fromZero: number
  readonly jumps: number
  /** Decisions that were made again from the recorded steps alone. */
  readonly replayed: number
  readonly codes: Readonly<Record<string, number>>
}

const SERVICES = ['j-0-a', 'j-0-b', 'j-0-c']
const TRAINING = ['j-0-t', 'j-0-u']
const OTHER = 'j-0-x'
/** Steps of one life; then another cell begins. */
const LIFE_STEPS = 500

function must(holds: boolean, what: string, seen: unknown): void {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`)
}

/** The scheduler as far as the autoscaler can see: what it granted, who owns what. */
interface Fleet {
  devices: number
  other: number
}

class Walk {
  readonly counts = {
    applied: 0,
    advised: 0,
    refused: 0,
    inPart: 0,
    gaveWay: 0,
    cameBack: 0,
    toZero: 0,
    fromZero: 0,
    jumps: 0,
    replayed: 0,
    codes: {} as Record<string, number>,
  }
  readonly #dice: SeededRandomness
  readonly #stage = new Stage()
  readonly #fleet: Fleet
  /** What gangs hold, by target; none known of what the autoscaler was not told. */
  readonly #gangs = new Map<string, number>()
  #generation = 1
  /** Requests a second of each service, for a while. */
  readonly #rates = new Map<string, number>()

  constructor(seed: number) {
    this.#dice = seededRandomness(seed)
    const stage = this.#stage
    this.#fleet = { devices: 2 + this.#dice.int(10), other: 0 }
    stage.node('n1', this.#fleet.devices).queue('q', this.#dice.pick([0, 0, 3, 8]))
    for (const jobId of SERVICES) {
      const policy = this.#dice.pick(['predictive', 'predictive', 'kpa', 'hpa'] as const)
      const min = policy === 'hpa' ? 1 : this.#dice.int(2)
      const capacityMilli = this.#dice.pick([0, 5_000, 20_000])
      const facts = { settings: settings({ policy, capacityMilli, idleMs: 5_000 }) }
      stage.service(jobId, { min, max: min + 1 + this.#dice.int(5), wanted: min }, facts)
      this.#place(jobId)
    }
    for (const jobId of TRAINING) {
      stage.job(jobId, scale({ unit: 'tasks', min: 1, max: 4, wanted: 1 }))
      this.#place(jobId)
    }
  }

  get #free(): number {
    let held = this.#fleet.other
    for (const devices of this.#gangs.values()) held += devices
    return this.#fleet.devices - held
  }

  #scaleOf(jobId: string): ScaleView {
    return this.#stage.of(jobId).scale!
  }

  /** The scheduler places what is wanted as far as there is room, and tells it. */
  #place(jobId: string, more: Partial<ScaleView> = {}): void {
    const now = { ...this.#scaleOf(jobId), ...more }
    const had = this.#gangs.get(jobId) ?? 0
    const room = this.#free + had
    const granted = Math.max(0, Math.min(now.wanted, room))
    this.#gangs.set(jobId, granted)
    if (granted !== had) {
      this.#generation += 1
      this.#stage.tell({ type: 'NoteReleased', jobId, gang: 0, through: this.#generation - 1 })
      this.#stage.holds(jobId, granted, 'n1', 0, this.#generation)
    }
    const ready = Math.min(granted, this.#dice.int(granted + 1))
    const told = { ...now, granted, ready: now.unit === 'tasks' ? granted : ready }
    const waiting = granted < now.wanted ? 'CAPACITY_WAIT' : ''
    const running = { generation: this.#generation, waiting }
    this.#stage.job(jobId, told, now.unit === 'tasks' ? running : { waiting })
  }

  step(): void {
    const stage = this.#stage
    this.#disturb()
    for (const key of [...stage.asked.keys()]) this.#answer(key.slice('resize:'.length))
    if (this.#dice.chance(0.01)) {
      stage.atMs += this.#dice.pick([10_000, 3_600_000, 86_400_000])
      this.counts.jumps += 1
    }
    stage.atMs += 900 + this.#dice.int(200)
    const rows = rowsToStep(
      stage.state,
      SERVICES.map((jobId) => this.#row(jobId)),
      stage.atMs,
    )
    if (rows === undefined) return
    const before = new Map([...stage.state.targets].map(([jobId, of]) => [jobId, { ...of }]))
    const json = this.#dice.chance(0.05) ? autoscalerDecider.toJson(stage.state) : undefined
    const { stepMs, giveBackAfterMs } = stage
    const events = stage.tell({ type: 'Step', rows, stepMs, giveBackAfterMs })
    if (json !== undefined) this.#again(json, events)
    this.#check(events, before, rows)
  }

  /** The same step from a state that was JSON: the same events, and the same state after them. */
  #again(json: ReturnType<typeof autoscalerDecider.toJson>, events: readonly AutoscalerEvent[]) {
    const { atMs, stepMs, giveBackAfterMs, state: now } = this.#stage
    const [stepped] = events
    if (stepped?.type !== 'Stepped') throw new Error('a step without a record')
    const state = autoscalerDecider.fromJson(json)
    const rows = JSON.parse(JSON.stringify(stepped.rows))
    const context = { atMs, nonce: '0'.repeat(32) }
    const command = { type: 'Step', rows, stepMs, giveBackAfterMs } as const
    const decision = autoscalerDecider.decide(command, state, context)
    must(decision.accepted, 'a recorded step is refused', rows)
    if (!decision.accepted) return
    const same = JSON.stringify(decision.events) === JSON.stringify(events)
    must(same, 'the same log gives other decisions', { events, again: decision.events })
    for (const event of decision.events) autoscalerDecider.evolve(state, event, atMs)
    const [folded, kept] = [state, now].map((one) => canonicalJson(autoscalerDecider.toJson(one)))
    must(folded === kept, 'the same log gives another state', { folded, kept })
    this.counts.replayed += 1
  }

  #check(
    events: readonly AutoscalerEvent[],
    before: ReadonlyMap<string, Target>,
    rows: readonly Signals[],
  ): void {
    const made = events.flatMap((event) => (event.type === 'ScaleDecided' ? [event] : []))
    for (const { jobId, decision } of made) {
      const target = before.get(jobId)!
      this.#checkOne(target, decision)
      const row = rows.find((one) => one.jobId === jobId)
      const shrinks = decision.wanted < decision.from && decision.outcome !== 'HELD'
      must(!shrinks || (row?.silent ?? 0) === 0, 'shrank while a gate was silent', decision)
      this.#count(decision)
    }
    // What is asked for together fits into what there is and what training is asked to leave.
    const asked = made.filter(({ decision }) => decision.outcome === 'APPLIED')
    // Training holds what it has: the scheduler gives it no more by itself.
    const wants = new Map(
      [...before].map(([jobId, of]) => [
        jobId,
        isTraining(of) ? tasksOf(of) : (of.scale?.wanted ?? 0),
      ]),
    )
    const sum = () => [...wants.values()].reduce((all, count) => all + count, 0)
    const had = sum()
    for (const { jobId, decision } of asked) wants.set(jobId, decision.wanted)
    const most = Math.max(had, this.#fleet.devices - this.#fleet.other)
    const grows = asked.some(({ decision }) => decision.wanted > decision.from)
    must(!grows || sum() <= most, 'more than the devices', { wants: [...wants], most, asked })
    const quota = this.#stage.state.queues.get('q') ?? 0
    const within = quota === 0 || sum() <= Math.max(had, quota)
    must(!grows || within, 'above the quota', { wants: [...wants], quota, asked })
  }

  #checkOne(target: Target, decision: ScaleDecision): void {
    const { scale: now, pending, mode } = target
    const { from, wanted, outcome } = decision
    const { min, max, owner, version } = now!
    must(
      from === now!.wanted && decision.scaleVersion === version,
      'decided upon another',
      decision,
    )
    must(wanted >= Math.min(min, from) && wanted <= Math.max(max, from), 'out of range', decision)
    must(wanted <= from || wanted <= max, 'above the ceiling', decision)
    must(wanted >= from || wanted >= min, 'below the floor', decision)
    if (outcome === 'APPLIED') {
      must(wanted !== from && pending === undefined, 'asked while another was open', decision)
      must(mode === 'automatic' && (owner === '' || owner === 'autoscaler'), 'not ours', decision)
      must(this.#stage.atMs >= now!.notBeforeMs, 'within the cooldown', decision)
    }
    if (decision.hold?.code === 'METRICS_UNKNOWN') {
      must(wanted >= Math.min(from, max), 'a loss of metrics shrank it', decision)
    }
  }

  #count({ from, wanted, outcome, notes, hold }: ScaleDecision): void {
    const { counts } = this
    if (outcome === 'APPLIED') counts.applied += 1
    if (outcome === 'ADVISED') counts.advised += 1
    if (outcome === 'APPLIED' && wanted === 0) counts.toZero += 1
    if (outcome === 'APPLIED' && from === 0) counts.fromZero += 1
    const codes = [...notes, ...(hold === undefined ? [] : [hold])].map(({ code }) => code)
    if (codes.includes('GIVES_WAY')) counts.gaveWay += 1
    if (codes.includes('COMES_BACK')) counts.cameBack += 1
    for (const code of codes) counts.codes[code] = (counts.codes[code] ?? 0) + 1
  }

  /** What gates say: nothing, the truth, or what cannot be. */
  #row(jobId: string): Signals {
    const dice = this.#dice
    const age = dice.int(1_500)
    const gauge = (value: number) => [value, age] as const
    if (dice.chance(0.03)) this.#rates.set(jobId, dice.pick([0, 0, 0, 3, 10, 40]))
    const rate = this.#rates.get(jobId) ?? 0
    const row = { jobId, busy: rate > 0 ? ['gateway/r1'] : [] }
    const seen = {
      ...row,
      came: gauge(rate),
      held: gauge(this.#scaleOf(jobId).ready === 0 ? rate : 0),
      inside: gauge(Math.ceil(rate / 4)),
      // What passed while nothing was asked for, or a jump of the clock: some of it was watched.
      ...(age < 1_000 ? {} : { restMs: age * 1_000 }),
    }
    switch (dice.int(20)) {
      case 0:
        return row
      case 1:
        return { ...seen, came: [rate, 60_000], held: [rate, 60_000], inside: [rate, 60_000] }
      case 2:
        return { ...seen, came: [-1, 0], held: [-1, 0], inside: [-1, 0] }
      case 3:
        return { ...seen, came: [rate, -9_000] }
      case 4:
        return { ...seen, silent: 1 }
      default: {
        const missed = [dice.chance(0.2) ? rate : 0]
        const ended = { finished: rate, outputTokens: 0, missed, serviceUs: rate * 80_000 }
        return rate === 0 ? seen : { ...seen, ended: { ...ended, ageMs: age } }
      }
    }
  }

  /** The scheduler answers: as asked, in part, with a refusal, or not yet. */
  #answer(jobId: string): void {
    const dice = this.#dice
    if (dice.chance(0.2)) return
    const now = this.#scaleOf(jobId)
    const refusal = dice.int(12)
    if (refusal === 0) {
      this.counts.refused += 1
      // A user was faster: the event with it is on its way.
      this.#stage.refuse(jobId, 'STALE_SCALE', { current: now.version + 1 })
      this.#place(jobId, { version: now.version + 1, owner: dice.pick(['user', 'autoscaler']) })
      return
    }
    if (refusal === 1) {
      this.counts.refused += 1
      const { atMs } = this.#stage
      this.#stage.refuse(jobId, 'RESIZE_COOLDOWN', { untilMs: atMs + 5_000 })
      return
    }
    if (refusal === 2) {
      this.counts.refused += 1
      this.#stage.refuse(jobId, 'FEATURE_NOT_ENABLED')
      return
    }
    const { wanted } = this.#stage.asked.get(`resize:${jobId}`)!
    const room = this.#free + (this.#gangs.get(jobId) ?? 0)
    if (room < wanted) this.counts.inPart += 1
    this.#stage.grant(jobId, Math.min(now.granted, wanted))
    this.#place(jobId, now.unit === 'tasks' ? { notBeforeMs: this.#stage.atMs + 3_000 } : {})
  }

  /** Users, nodes, other jobs. */
  #disturb(): void {
    const dice = this.#dice
    const stage = this.#stage
    const jobId = dice.pick([...SERVICES, ...TRAINING])
    const now = this.#scaleOf(jobId)
    switch (dice.int(60)) {
      case 0: {
        const wanted = now.min + dice.int(now.max - now.min + 1)
        this.#place(jobId, { wanted, owner: 'user', version: now.version + 1 })
        return
      }
      case 1:
      case 2:
      case 3:
      case 4:
        if (now.owner === 'user') this.#place(jobId, { owner: '', version: now.version + 1 })
        return
      case 5:
        stage.tell({ type: 'SetMode', jobId, mode: dice.pick(['advise', 'off', 'automatic']) })
        return
      case 6:
      case 7:
        stage.tell({ type: 'SetMode', jobId, mode: 'automatic' })
        return
      case 8:
        this.#fleet.other = Math.max(0, Math.min(this.#fleet.other + this.#free, dice.int(3)))
        stage.tell({ type: 'NoteReleased', jobId: OTHER, gang: 0, through: this.#generation })
        this.#generation += 1
        stage.holds(OTHER, this.#fleet.other, 'n1', 0, this.#generation)
        return
      case 9:
        stage.job(OTHER, undefined, {
          state: dice.pick(['Queued', 'Running', 'Running', 'Cancelled']),
          waiting: 'CAPACITY_WAIT',
        })
        return
      default:
        // What waits for devices gets them when there are some.
        if (now.granted < now.wanted && !stage.asked.has(`resize:${jobId}`)) this.#place(jobId)
        else if (now.ready < now.granted) this.#place(jobId)
    }
  }
}

/**
 * Walks at random through the core of the service. Checked at each step: floor, ceiling, quota, the
 * devices of the cell; one writer, one open call of a target; nothing shrinks on lost metrics; one
 * step of twenty is decided again from a state that was JSON, with the same events and the same
 * state. Throws with seed and step.
 */
export function runCoreWalk(init: { seed: number; steps: number }): CoreWalkResult {
  const all: Walk['counts'][] = []
  for (let done = 0, life = 0; done < init.steps; life += 1) {
    const walk = new Walk((init.seed + life * 7_919) >>> 0)
    const count = Math.min(LIFE_STEPS, init.steps - done)
    for (let step = 1; step <= count; step += 1) {
      try {
        walk.step()
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error)
        const where = `seed ${init.seed}, life ${life}, step ${done + step}`
        throw new Error(`autoscaler walk failed: ${where}: ${what}`, { cause: error })
      }
    }
    done += count
    all.push(walk.counts)
  }
  const codes: Record<string, number> = {}
  for (const counts of all) {
    for (const [code, count] of Object.entries(counts.codes)) {
      codes[code] = (codes[code] ?? 0) + count
    }
  }
  const total = (pick: (counts: Walk['counts']) => number) =>
    all.reduce((sum, counts) => sum + pick(counts), 0)
  return {
    steps: init.steps,
    applied: total(({ applied }) => applied),
    advised: total(({ advised }) => advised),
    refused: total(({ refused }) => refused),
    inPart: total(({ inPart }) => inPart),
    gaveWay: total(({ gaveWay }) => gaveWay),
    cameBack: total(({ cameBack }) => cameBack),
    toZero: total(({ toZero }) => toZero),
    fromZero: total(({ fromZero }) => fromZero),
    jumps: total(({ jumps }) => jumps),
    replayed: total(({ replayed }) => replayed),
    codes,
  }
}
