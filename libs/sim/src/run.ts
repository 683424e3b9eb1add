/** One run: a world, the control plane, nodes, users, faults, checkers; and what came of it. */
import { createCheckers } from './check/index.ts'
import type { Alarm, Observation } from './check/types.ts'
import { Injector } from './faults/injector.ts'
import { CALM_LINK } from './faults/strikes.ts'
import { ControlPlane } from './plane/control-plane.ts'
import { createNodes } from './plane/nodes/index.ts'
import type { SimNode } from './plane/types.ts'
import { createUsers, type Users } from './plane/users/index.ts'
import type { Scenario } from './scenarios/types.ts'
import { RecordStory } from './story.ts'
import { createWorld } from './world/index.ts'
import type { TraceEntry, World } from './world/types.ts'

/** What to run. */
export interface RunInit {
  readonly scenario: Scenario
  readonly seed: number
  /** Each happening as it happens; absent = the readable trace is off. */
  readonly onEntry?: (entry: TraceEntry) => void
  /** Stops after this event of virtual time. */
  readonly untilEvent?: number
  /** Faults are drawn and told, and do nothing: to see that each changes something. */
  readonly harmless?: boolean
}

/** What came of a run. */
export interface RunResult {
  readonly scenario: string
  readonly seed: number
  readonly alarms: readonly Alarm[]
  /** SHA-256 over everything that happened: the same for the same seed, always. */
  readonly hash: string
  /** Virtual time, ms. */
  readonly simMs: number
  /** Timers that rang. */
  readonly events: number
  /** Effective commits of all services. */
  readonly commits: number
  /** Effective claims of all services by another replica than the one that led before. */
  readonly leaderChanges: number
  readonly jobs: number
  readonly tasksStarted: number
  readonly faults: Readonly<Record<string, number>>
  /** How often disks were in trouble, see `World.diskTroubles`; absent = the run has no end. */
  readonly diskTroubles?: Readonly<Record<string, number>>
  /** The last happenings before the end, or before the first alarm. */
  readonly last: readonly TraceEntry[]
}

/** States of replicas are compared so often while faults happen; and at the end. */
const SAMPLES = 2
/** A look every so often, ms, whether all is in order. */
const LOOK_MS = 1_000
/** What was in order stays so for this long before the end is called. */
const CALM_MS = 20_000

/** One world with everything in it. */
class Simulation {
  readonly #scenario: Scenario
  readonly #init: RunInit
  readonly #world: World
  readonly #plane: ControlPlane
  readonly #nodes: readonly SimNode[]
  readonly #users: Users
  readonly #injector: Injector
  readonly #alarms: Alarm[] = []
  readonly #story: RecordStory
  readonly #checkers: ReturnType<typeof createCheckers>
  #lastAtAlarm: readonly TraceEntry[] | undefined
  #tasksStarted = 0

  constructor(init: RunInit) {
    this.#init = init
    this.#scenario = init.scenario
    const { onEntry, seed, scenario } = init
    this.#world = createWorld({ seed, ...(onEntry === undefined ? {} : { onEntry }) })
    const world = this.#world
    const { random } = world
    world.network.setDefault(CALM_LINK)
    this.#checkers = createCheckers((alarm) => this.#alarm(alarm), {
      appendMs: scenario.appendMs[1],
    })
    this.#story = new RecordStory(world.trace)
    world.onLanded((record) => {
      this.#story.landed(record)
      this.#observe({ kind: 'landed', record })
    })
    const observe = (observation: Observation): void => this.#observe(observation)
    const parts = { users: random.fork(), faults: random.fork() }
    this.#plane = new ControlPlane({ world, scenario, observe })
    this.#nodes = createNodes({ world, scenario, plane: this.#plane, observe })
    this.#users = createUsers({ world, scenario, plane: this.#plane, random: parts.users, observe })
    this.#injector = new Injector({
      world,
      random: parts.faults,
      mix: scenario.faults,
      harmless: init.harmless === true,
      observe,
      victims: {
        processes: this.#plane.processes,
        nodes: this.#nodes,
        calmLog: this.#plane.calmLog,
        machines: [...this.#plane.machines, ...this.#nodes.map(({ agent }) => agent.machine)],
      },
    })
  }

  #observe(observation: Observation): void {
    if (observation.kind === 'task-started') this.#tasksStarted += 1
    this.#story.observed(observation)
    this.#checkers.observe(observation)
  }

  #alarm(alarm: Alarm): void {
    this.#alarms.push(alarm)
    this.#world.trace.note('checker', alarm.checker, () => `ALARM ${alarm.message}`)
    this.#lastAtAlarm ??= this.#world.trace.last()
  }

  /** True when nothing more is to be simulated. */
  #over(): boolean {
    const { untilEvent } = this.#init
    if (untilEvent !== undefined && this.#world.time.events >= untilEvent) return true
    // A world in which a promise is broken has nothing more to tell.
    return this.#alarms.length > 0
  }

  async #pass(untilMs: number): Promise<void> {
    const { time } = this.#world
    while (time.nowMs < untilMs && !this.#over()) {
      await time.runUntil(Math.min(untilMs, time.nowMs + LOOK_MS), () => this.#over())
      this.#lookForStopped()
    }
  }

  /** A partition that stops leads and follows no more until somebody looks after it. */
  #lookForStopped(): void {
    const [stopped] = this.#plane.stopped()
    if (stopped === undefined || this.#over()) return
    const { process, service, why } = stopped
    const message = `the partition of ${service} in ${process} has stopped for good: ${why}`
    this.#alarm({ checker: 'stops', atMs: this.#world.time.nowMs, about: service, message })
  }

  async run(): Promise<RunResult> {
    const { busyMs, settleMs } = this.#scenario
    const { time } = this.#world
    this.#plane.start()
    for (const node of this.#nodes) {
      node.supervisor.start()
    }
    this.#users.start()
    this.#injector.start()
    while (time.nowMs < busyMs && !this.#over()) {
      await this.#pass(Math.min(busyMs, time.nowMs + busyMs / SAMPLES))
      this.#plane.sampleDigests()
    }
    if (!this.#over()) await this.#settle(time.nowMs + settleMs)
    return this.#result()
  }

  /** The faults end: everything has to complete. */
  async #settle(limitMs: number): Promise<void> {
    const { time } = this.#world
    this.#injector.heal()
    this.#world.network.setDefault(CALM_LINK)
    let calmSinceMs: number | undefined
    while (!this.#over()) {
      await this.#pass(time.nowMs + LOOK_MS)
      this.#startStopped()
      const open = [...this.#users.open(), ...this.#plane.open()]
      calmSinceMs = open.length > 0 ? undefined : (calmSinceMs ?? time.nowMs)
      if (calmSinceMs !== undefined && time.nowMs - calmSinceMs >= CALM_MS) break
      if (time.nowMs >= limitMs) {
        const list = open.slice(0, 5).join('; ')
        const message = `all faults ended ${settleText(this.#scenario)} ago and still: ${list}`
        this.#alarm({
          checker: 'settles',
          atMs: time.nowMs,
          about: aboutOf(open[0] ?? ''),
          message,
        })
        return
      }
    }
    if (this.#over()) return
    this.#plane.sampleDigests()
    await this.#pass(time.nowMs + LOOK_MS)
    if (!this.#over()) this.#observe({ kind: 'settled', atMs: time.nowMs })
  }

  /** As an init system would: what died in the middle of its own end runs again. */
  #startStopped(): void {
    const supervisors = this.#nodes.map(({ supervisor }) => supervisor)
    for (const process of [...this.#plane.processes, ...supervisors]) {
      if (process.state === 'stopped') process.start()
    }
  }

  #result(): RunResult {
    const { time, trace } = this.#world
    return {
      scenario: this.#scenario.name,
      seed: this.#init.seed,
      alarms: this.#alarms,
      hash: trace.digest(),
      simMs: time.nowMs,
      events: time.events,
      commits: this.#checkers.effective.commits,
      leaderChanges: this.#checkers.effective.leaderChanges,
      jobs: this.#scenario.jobs,
      tasksStarted: this.#tasksStarted,
      faults: { ...this.#injector.counts },
      diskTroubles: { ...this.#world.diskTroubles },
      last: this.#lastAtAlarm ?? trace.last(),
    }
  }
}

const settleText = ({ settleMs }: Scenario): string => `${(settleMs / 60_000).toFixed(0)} min`

/** Simulates a scenario from a seed. The same seed gives the same run, in any process. */
export async function runSimulation(init: RunInit): Promise<RunResult> {
  return new Simulation(init).run()
}

/** The job that a line is about; empty = none. */
const aboutOf = (line: string): string => /\bj-\d+-[0-9a-f]+\b/.exec(line)?.[0] ?? ''
