import type { ObserveFreed, ObserveTasks, SchedulerCommand } from '../core/messages.ts'
import type { GangSpec, NodeFacts, NodeState, ServiceSpec } from '../core/types.ts'
import type { Grant, Ledger, Unit } from './ledger.ts'
import type { Dice } from './random.ts'

const MODELS = ['gpu-a', 'gpu-b', 'emulated/gpu-a']
const PATTERNS = [[], [], ['gpu-a'], ['gpu-*'], ['emulated/*'], ['gpu-b', 'emulated/gpu-a']]
const QUEUES = ['alpha', 'beta', 'gamma']
const LIVE_MAX = 25

/** Chooses what happens next in a walk: mostly sensible, now and then late, doubled or stale. */
export class Actions {
  readonly #dice: Dice
  readonly #ledger: Ledger
  #jobs = 0
  #incidents = 0
  #decisions = 0

  constructor(dice: Dice, ledger: Ledger) {
    this.#dice = dice
    this.#ledger = ledger
  }

  next(atMs: number): SchedulerCommand {
    const roll = this.#dice.below(100)
    if (roll < 10 || this.#ledger.nodes.size === 0) return this.#node()
    if (this.#ledger.queues.size < QUEUES.length && roll < 40) return this.#queue()
    if (roll < 28 && this.#live().length < LIVE_MAX) return this.#enqueue()
    if (roll < 34) return this.#readiness()
    if (roll < 39) return this.#resize()
    if (roll < 40) return this.#update()
    if (roll < 50) return this.#tasks()
    if (roll < 85) return this.#freed()
    if (roll < 92) return this.#recover(atMs)
    if (roll < 94) return this.#giveUp()
    if (roll < 96) return { type: 'CancelJob', jobId: this.#someJobId(), by: 'walk' }
    if (roll < 97) return this.#resize()
    if (roll < 99) return this.#result()
    return this.#replace()
  }

  #live(): string[] {
    return [...this.#ledger.jobs.keys()]
  }
  /** A job or a replica. */
  #someUnit(): { jobId: string; gang: number; unit: Unit | undefined } {
    const unit = this.#ledger.jobs.get(this.#dice.pick(this.#live()) ?? '')
    return { jobId: unit?.spec.jobId ?? 'j-0-none', gang: unit?.gang ?? 0, unit }
  }

  /** Mostly of a job; a service has many replicas, and is seldom ended. */
  #someJobId(): string {
    const service = this.#dice.chance(20) ? this.#dice.pick([...this.#ledger.services.keys()]) : ''
    if (service !== undefined && service !== '') return service
    const { jobId, gang } = this.#someUnit()
    return gang === 0 ? jobId : 'j-0-none'
  }

  #resize(): SchedulerCommand {
    const dice = this.#dice
    const elastic = [...this.#ledger.jobs.values()].filter(({ spec }) => spec.gang.elastic)
    const targets = [
      ...this.#ledger.services.keys(),
      ...elastic.map(({ spec }) => spec.jobId),
      ...(dice.chance(5) ? [this.#someJobId()] : []),
    ]
    const jobId = dice.pick(targets) ?? 'j-0-none'
    const version = this.#ledger.services.get(jobId)?.version ?? 1 + dice.below(3)
    const user = dice.chance(50)
    return {
      type: 'ResizeJob',
      jobId,
      wanted: dice.below(7),
      expectedVersion: user ? 0 : dice.chance(90) ? version : dice.below(9),
      owner: user ? 'user' : dice.pick(['autoscaler', 'autoscaler', 'other'])!,
      by: 'walk',
      decisionId: `d-${dice.chance(95) ? ++this.#decisions : this.#decisions}`,
      cause: 'walk',
      release: user && dice.chance(40),
    }
  }

  #update(): SchedulerCommand {
    const dice = this.#dice
    const jobId = dice.pick([...this.#ledger.services.keys()]) ?? this.#someJobId()
    const known = this.#ledger.services.get(jobId)?.update?.asked.number ?? 0
    return {
      type: 'UpdateService',
      jobId,
      number: dice.chance(90) ? known + 1 : known,
      revision: 1 + dice.below(4),
      drainMs: dice.chance(10) ? 0 : dice.below(3_000),
      maxSurge: dice.below(3),
      maxUnavailable: dice.below(3),
      startupDeadlineMs: 500 + dice.below(8_000),
      by: 'walk',
    }
  }

  #readiness(): SchedulerCommand {
    const replicas = this.#ledger.grants.filter(({ gang }) => gang > 0)
    const grant = this.#dice.pick(replicas)
    if (grant === undefined) return { type: 'ContinueRound' }
    const ready = this.#dice.chance(80)
    const cause = ready ? '' : '503'
    const { gang, generation, job } = grant
    const of = { jobId: job.jobId, gang, generation, rank: this.#dice.chance(95) ? 0 : 1 }
    return { type: 'ObserveReadiness', ...of, ready, cause }
  }

  #queue(): SchedulerCommand {
    const dice = this.#dice
    const name = dice.pick(QUEUES)!
    const maximum = {
      // One queue is always small: its quota is often used up.
      devices: name === 'alpha' || dice.chance(50) ? 3 + dice.below(6) : 0,
      cpuMillis: dice.chance(30) ? 8_000 : 0,
      memoryMib: 0,
    }
    const weight = 1 + dice.below(3)
    const queue = { name, tenant: name, weight, priority: dice.below(2), maximum }
    return { type: 'CreateQueue', queue }
  }

  #node(): SchedulerCommand {
    const dice = this.#dice
    const nodeId = `n${dice.below(7)}`
    const known = this.#ledger.nodes.get(nodeId)
    if (known !== undefined && dice.chance(25)) return { type: 'ObserveNodeLost', nodeId }
    if (known === undefined || dice.chance(20)) {
      return { type: 'ObserveNode', node: this.#facts(nodeId) }
    }
    const states: readonly NodeState[] = ['Ready', 'Ready', 'Disconnected', 'Lost']
    return { type: 'ObserveNode', node: { ...known, state: dice.pick(states)! } }
  }

  #facts(nodeId: string): NodeFacts {
    const dice = this.#dice
    const model = dice.pick(MODELS)!
    const devices = Array.from({ length: dice.below(5) }, () => {
      const own = dice.chance(85) ? model : dice.pick(MODELS)!
      return { model: own, emulated: own.startsWith('emulated/'), healthy: dice.chance(93) }
    })
    return {
      nodeId,
      state: 'Ready',
      cpuMillis: 1_000 * (1 + dice.below(8)),
      memoryMib: 1_024 * (1 + dice.below(8)),
      devices,
      address: `10.0.0.${nodeId.slice(1)}`,
      portFirst: dice.chance(90) ? 20_000 : 0,
      portLast: dice.chance(90) ? 20_003 : 20_001,
    }
  }

  #enqueue(): SchedulerCommand {
    const dice = this.#dice
    const known = dice.chance(5) ? this.#someUnit().unit : undefined
    if (known !== undefined) return { type: 'EnqueueJob', job: known.spec }
    const queue = dice.chance(98) ? dice.pick(QUEUES)! : 'nowhere'
    const job = {
      jobId: `j-0-${++this.#jobs}`,
      tenant: queue,
      queue,
      name: 'walk',
      gang: this.#gang(),
      ...(dice.chance(12) && this.#ledger.services.size < 3 ? { service: this.#service() } : {}),
      waitForCapacity: dice.chance(30),
      priority: dice.below(3) - 1,
      submittedMs: 0,
    }
    const rigid = job.service !== undefined || dice.chance(75)
    // Small replicas come and go; large ones would wait for ever.
    const small = {
      ...job.gang,
      tasks: 1,
      perTask: { ...job.gang.perTask, devices: dice.below(2) },
    }
    const gang = job.service === undefined ? job.gang : small
    return { type: 'EnqueueJob', job: { ...job, gang: rigid ? gang : this.#elastic(gang) } }
  }

  #service(): ServiceSpec {
    const dice = this.#dice
    const minReplicas = dice.below(2)
    const maxReplicas = 2 + dice.below(4)
    const replicas = minReplicas + dice.below(maxReplicas - minReplicas + 1)
    return { minReplicas, maxReplicas, replicas, drainMs: dice.chance(10) ? 0 : dice.below(3_000) }
  }

  #elastic(gang: GangSpec): GangSpec {
    const dice = this.#dice
    const minTasks = Math.min(gang.tasks, 1 + dice.below(2))
    const maxTasks = gang.tasks + dice.below(4)
    const times = { cooldownMs: dice.below(20_000), noticeMs: dice.below(3_000) }
    return { ...gang, elastic: { minTasks, maxTasks, ...times } }
  }

  #gang(): GangSpec {
    const dice = this.#dice
    return {
      tasks: dice.chance(3) ? dice.below(30) : 1 + dice.below(5),
      perTask: {
        devices: dice.below(3),
        cpuMillis: 500 * dice.below(4),
        memoryMib: 512 * dice.below(4),
      },
      deviceModels: dice.pick(PATTERNS)!,
      rank0Ports: dice.below(3),
      exclusive: dice.chance(40),
    }
  }

  #tasks(): SchedulerCommand {
    const grant = this.#dice.pick(this.#ledger.grants)
    if (grant === undefined) return { type: 'ContinueRound' }
    const started: number[] = []
    const ended: number[] = []
    const all = this.#dice.chance(30)
    grant.ranks.forEach((rank, i) => {
      if (!all && this.#dice.chance(50)) return
      if (rank.state === 'granted') {
        rank.state = 'started'
        started.push(i)
      } else if (rank.state === 'started') {
        rank.state = 'ended'
        // Bad ends are not told to the scheduler; what they held is freed all the same.
        if (this.#dice.chance(90)) ended.push(i)
      } else if (this.#dice.chance(5)) ended.push(i)
    })
    return tasksOf(grant, started, ended)
  }

  /** Only what is over and reachable is freed; sometimes twice. */
  #freed(): SchedulerCommand {
    const ready = this.#ledger.grants.filter((grant) => this.#freeable(grant).length > 0)
    const grant = this.#dice.pick(ready)
    if (grant === undefined) return this.#tasks()
    const ranks = this.#freeable(grant).filter(() => this.#dice.chance(70))
    return freedOf(grant, this.#dice.chance(10) ? [...ranks, ...ranks] : ranks)
  }

  #freeable(grant: Grant): number[] {
    const over = (rank: Grant['ranks'][number]) =>
      !rank.freed &&
      (grant.released || rank.state === 'ended') &&
      this.#ledger.nodes.get(rank.node)!.state !== 'Lost'
    return grant.ranks.flatMap((rank, i) => (over(rank) ? [i] : []))
  }

  #recover(atMs: number): SchedulerCommand {
    const dice = this.#dice
    const { jobId, gang, unit } = this.#someUnit()
    const generation = unit?.generation ?? 1
    const fresh = `i-0-${dice.chance(90) ? ++this.#incidents : this.#incidents}`
    const notice = unit?.notice ?? ''
    const plan = {
      // What waits for a checkpoint mostly gets it.
      incidentId: notice !== '' && dice.chance(80) ? notice : fresh,
      checkpointPath: dice.chance(50) ? `/checkpoints/${jobId}/${generation}` : '',
      checkpointStep: dice.below(100),
      notBeforeMs: dice.chance(50) ? atMs + dice.below(3_000) : 0,
      avoidNodes: dice.chance(50) ? [`n${dice.below(8)}`] : [],
      cause: 'walk',
      restartsCharged: dice.below(3),
    }
    const expectedGeneration = dice.chance(90) ? generation : dice.below(4)
    return { type: 'RecoverGang', jobId, gang, expectedGeneration, plan }
  }

  #giveUp(): SchedulerCommand {
    const { jobId, gang, unit } = this.#someUnit()
    const expectedGeneration = unit?.generation ?? 1
    const why = { code: 'USER_ERROR', cause: 'walk', incidentId: `i-0-${this.#incidents}` }
    return { type: 'GiveUpJob', jobId, gang, expectedGeneration, ...why }
  }

  #result(): SchedulerCommand {
    const grant = this.#dice.pick(this.#ledger.grants)
    if (grant === undefined) return { type: 'ContinueRound' }
    const { jobId } = grant.job
    const json = `{"accuracy":0.${this.#dice.below(100)}}`
    return { type: 'ObserveResult', jobId, generation: grant.generation, rank: 0, json }
  }

  /** The pool manager's whole truth after a gap; now and then it has lost sight of a node. */
  #replace(): SchedulerCommand {
    const nodes = [...this.#ledger.nodes.values()].filter(() => this.#dice.chance(90))
    const tasks: ObserveTasks[] = []
    const freed: ObserveFreed[] = []
    for (const grant of this.#ledger.grants) {
      const over = this.#freeable(grant).filter(() => this.#dice.chance(30))
      const ranks = grant.ranks.map((rank, i) => ({ i, ...rank }))
      const ended = ranks.filter(({ state }) => state === 'ended').map(({ i }) => i)
      const started = ranks.filter(({ state }) => state !== 'granted').map(({ i }) => i)
      tasks.push(tasksOf(grant, started, ended))
      freed.push(freedOf(grant, over))
    }
    const lost = nodes.filter(({ state }) => state === 'Lost').map(({ nodeId }) => nodeId)
    return { type: 'ReplacePool', nodes, lost, tasks, freed }
  }
}

function tasksOf(grant: Grant, started: readonly number[], ended: readonly number[]): ObserveTasks {
  const { gang, generation, job } = grant
  return { type: 'ObserveTasks', jobId: job.jobId, gang, generation, started, ended }
}

function freedOf(grant: Grant, ranks: readonly number[]): ObserveFreed {
  const { gang, generation, job } = grant
  return { type: 'ObserveFreed', jobId: job.jobId, gang, generation, ranks }
}
