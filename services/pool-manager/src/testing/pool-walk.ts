import { InvariantError } from '@serverless-ai/kernel'
import { type SeededRandomness, seededRandomness } from '@serverless-ai/kernel/testing'
import { poolDecider } from '../core/decider.ts'
import { desiredSet, nodesTouched } from '../core/desired.ts'
import type { PoolCommand, PoolEvent } from '../core/messages.ts'
import { type Contract, executionKey, type Grant, gangKey, type Inventory } from '../core/model.ts'
import { findExecution, isCurrent, type PoolState } from '../core/state.ts'
import { Truth, WalkNode, type WalkReport } from './walk-node.ts'

/** What a walk did. */
export interface WalkResult {
  readonly steps: number
  readonly events: number
  readonly started: number
  readonly freedRanks: number
}

const INVENTORY: Inventory = {
  cpuMillis: 8_000,
  memoryMib: 8_192,
  devices: [0, 1].map((index) => ({
    index,
    uuid: `emulated-${index}`,
    model: 'emulated/h100',
    memoryMib: 1_024,
    emulated: true,
    healthy: true,
  })),
  address: '127.0.0.1',
  portFirst: 20_000,
  portLast: 20_999,
  labels: {},
  agentVersion: '0.1.0',
  isolation: 'none',
}

/** A gang as the scheduler and the mediator of the walk see it. */
interface WalkGang {
  readonly jobId: string
  generation: number
  released: number
  finished: boolean
}

/** A random history of a pool against the core, with independent checks. Throws where one fails. */
class PoolWalk {
  readonly #random: SeededRandomness
  readonly #truth = new Truth()
  readonly #nodes: WalkNode[]
  readonly #gangs: WalkGang[] = []
  readonly #schedule: PoolCommand[] = []
  readonly #contracts: PoolCommand[] = []
  readonly #history: { event: PoolEvent; atMs: number }[] = []
  readonly #freed = new Set<string>()
  readonly #oldReports: { nodeId: string; report: WalkReport }[] = []
  #state: PoolState = poolDecider.initial()
  #atMs = 1_700_000_000_000
  #jobs = 0

  constructor(seed: number) {
    this.#random = seededRandomness(seed)
    this.#nodes = [0, 1, 2, 3].map((index) => {
      const random = this.#random.fork()
      return new WalkNode({ nodeId: `n${index}`, truth: this.#truth, random })
    })
    for (const node of this.#nodes) node.restartSupervisor(false, this.#atMs)
  }

  step(): void {
    this.#atMs += this.#random.int(1_000)
    const dice = this.#random.int(100)
    const node = this.#random.pick(this.#nodes)
    if (dice < 10) this.#place()
    else if (dice < 16) this.#release()
    else if (dice < 30) this.#input(this.#schedule)
    else if (dice < 44) this.#input(this.#contracts)
    else if (dice < 56) node.apply(this.#atMs)
    else if (dice < 72) node.writeReport(node.stir(this.#atMs))
    else if (dice < 84) this.#report(node)
    else if (dice < 87) this.#copyOfAReport()
    else if (dice < 93) this.#connect(node)
    else if (dice < 95) this.#disconnect(node)
    else if (dice < 97) this.#lose(node)
    else if (dice < 99) node.restartSupervisor(this.#random.chance(0.5), this.#atMs)
    else this.#gap()
  }

  /** Everything is released, every node comes back and reports: nothing may stay taken. */
  settle(): void {
    for (const gang of this.#gangs) {
      if (!gang.finished) this.#releaseGang(gang, 'CANCELLED')
    }
    while (this.#schedule.length > 0) this.#input(this.#schedule)
    while (this.#contracts.length > 0) this.#input(this.#contracts)
    for (const node of this.#nodes) {
      if (!node.connected) this.#connect(node)
      for (let round = 0; round < 40; round += 1) {
        node.apply(this.#atMs)
        node.writeReport(node.stir(this.#atMs))
        while (node.unacknowledged.length > 0) this.#report(node)
      }
    }
    for (const gang of this.#state.gangs.values()) {
      if (gang.unfreedRanks > 0)
        throw new Error(`${gangKey(gang)} keeps ${gang.unfreedRanks} ranks`)
    }
    if (this.#state.onNode.size > 0) throw new Error('an execution is left on a node')
  }

  result(steps: number): WalkResult {
    const started = this.#truth.startedOn.size
    return { steps, events: this.#history.length, started, freedRanks: this.#freed.size }
  }

  /** Incremental state = state folded from the start = state through JSON. */
  checkFold(): void {
    const folded = this.#history.reduce(
      (state, { event, atMs }) => poolDecider.evolve(state, event, atMs),
      poolDecider.initial(),
    )
    const now = JSON.stringify(poolDecider.toJson(this.#state))
    if (JSON.stringify(poolDecider.toJson(folded)) !== now) throw new Error('state ≠ folded state')
    const loaded = poolDecider.fromJson(poolDecider.toJson(this.#state))
    if (JSON.stringify(poolDecider.toJson(loaded)) !== now) throw new Error('state ≠ loaded state')
    // Indexes too: the walk goes on with what a restart would load.
    this.#state = loaded
  }

  #place(): void {
    const resting = this.#gangs.filter(
      (gang) => !gang.finished && gang.released === gang.generation,
    )
    const again = resting.length > 0 && this.#random.chance(0.6)
    const gang = again ? this.#random.pick(resting) : this.#newGang()
    gang.generation += 1
    const ranks = 1 + this.#random.int(4)
    const nodes = this.#nodes.map((node) => node.nodeId)
    const grant: Grant = {
      jobId: gang.jobId,
      gang: 0,
      generation: gang.generation,
      tenant: 'team-a',
      nodes,
      nodeOfRank: Array.from({ length: ranks }, () => this.#random.int(nodes.length)),
      deviceIndexes: Array.from({ length: ranks }, () => this.#random.int(2)),
      rank0Ports: [20_000],
      devicesPerTask: 1,
      cpuMillis: 100,
      memoryMib: 64,
      exclusive: false,
    }
    const contract: Contract = {
      jobId: gang.jobId,
      gang: 0,
      generation: gang.generation,
      command: ['train'],
      env: {},
      rankEnv: grant.nodeOfRank.map((_, rank) => ({ RANK: String(rank) })),
      workspace: '',
      stopGraceMs: 3_000,
      logMaxBytes: 0,
    }
    this.#schedule.push({ type: 'TakeGrant', grant })
    if (this.#random.chance(0.9)) this.#contracts.push({ type: 'TakeContract', contract })
  }

  #newGang(): WalkGang {
    this.#jobs += 1
    const gang = { jobId: `j-0-${this.#jobs}`, generation: 0, released: 0, finished: false }
    this.#gangs.push(gang)
    return gang
  }

  #release(): void {
    const running = this.#gangs.filter((gang) => !gang.finished && gang.generation > gang.released)
    if (running.length === 0) return
    const cause = this.#random.pick(['RECOVER', 'RECOVER', 'FINISHED', 'CANCELLED'])
    this.#releaseGang(this.#random.pick(running), cause)
  }

  #releaseGang(gang: WalkGang, cause: string): void {
    gang.released = gang.generation
    gang.finished = cause !== 'RECOVER'
    const release = { jobId: gang.jobId, gang: 0, throughGeneration: gang.released, cause }
    this.#schedule.push({ type: 'TakeRelease', release })
  }

  #input(topic: PoolCommand[]): void {
    const command = topic.shift()
    if (command !== undefined) this.#execute(command)
  }

  /** The pool missed what was on its way from the scheduler and gets its whole state instead. */
  #gap(): void {
    const missed = this.#schedule.splice(0)
    const grants = missed.flatMap((each) => (each.type === 'TakeGrant' ? [each.grant] : []))
    const releases = this.#gangs
      .filter((gang) => gang.released > 0)
      .map((gang) => {
        const cause = gang.finished ? 'FINISHED' : 'RECOVER'
        return { jobId: gang.jobId, gang: 0, throughGeneration: gang.released, cause }
      })
    const current = [...this.#state.gangs.values()].flatMap((gang) => {
      const membership = gang.memberships.get(gang.grantedThrough)
      return membership === undefined || gang.finished ? [] : [membership.grant]
    })
    this.#execute({ type: 'ReplaceSchedule', grants: [...current, ...grants], releases })
  }

  #connect(node: WalkNode): void {
    const { nodeId, session } = node
    this.#execute({
      type: 'RegisterNode',
      nodeId,
      supervisorSession: session,
      inventory: INVENTORY,
      clockSkewMs: 0,
      leaseMs: 15_000,
    })
    node.disconnect()
    node.connected = true
    this.#send(node)
    // The first report of a connection says what the node holds.
    node.writeReport([])
  }

  #disconnect(node: WalkNode): void {
    const registration = this.#state.nodes.get(node.nodeId)?.registration ?? 0
    node.disconnect()
    this.#execute({ type: 'DisconnectNode', nodeId: node.nodeId, registration, cause: 'walk' })
  }

  #lose(node: WalkNode): void {
    const registration = this.#state.nodes.get(node.nodeId)?.registration ?? 0
    node.disconnect()
    this.#execute({ type: 'LoseNode', nodeId: node.nodeId, registration, silentMs: 21_500 })
  }

  #report(node: WalkNode): void {
    const report = node.unacknowledged[0]
    if (report === undefined || !node.connected) return
    this.#take(node.nodeId, report)
    node.unacknowledged.shift()
    this.#oldReports.push({ nodeId: node.nodeId, report })
    if (this.#oldReports.length > 20) this.#oldReports.shift()
    this.#send(node)
  }

  #copyOfAReport(): void {
    if (this.#oldReports.length === 0) return
    const { nodeId, report } = this.#random.pick(this.#oldReports)
    const before = this.#history.length
    this.#take(nodeId, report)
    if (this.#history.length > before) throw new Error('a copy of a report changed something')
  }

  #take(nodeId: string, report: WalkReport): void {
    const { session, number, appliedRevision, executions, lines } = report
    this.#execute({
      type: 'ReportExecutions',
      nodeId,
      supervisorSession: session,
      number,
      appliedRevision,
      executions,
      lines,
    })
  }

  #send(node: WalkNode): void {
    const held = this.#state.nodes.get(node.nodeId)
    if (held === undefined || !node.connected || held.supervisorSession !== node.session) return
    const tasks = desiredSet(this.#state, held)
    for (const task of tasks) {
      if (!isCurrent(this.#state, task.key))
        throw new Error('a task that is not current is desired')
    }
    const forget = node.ended().filter((key) => {
      const execution = findExecution(this.#state, key)
      return execution === undefined || execution.phase.at === 'Freed'
    })
    node.deliver({ revision: held.desiredRevision, tasks, forget })
  }

  #execute(command: PoolCommand): void {
    const nonce = ''
    const look = this.#random.chance(0.05)
    const before = look ? JSON.stringify(poolDecider.toJson(this.#state)) : ''
    const decision = poolDecider.decide(command, this.#state, { atMs: this.#atMs, nonce })
    if (look && JSON.stringify(poolDecider.toJson(this.#state)) !== before) {
      throw new Error(`decide changed the state: ${command.type}`)
    }
    if (!decision.accepted) return
    this.#fold(decision.events)
    const more = poolDecider.afterBatch?.(this.#state, { atMs: this.#atMs, nonce })
    if (more !== undefined) this.#fold(more.events)
  }

  #fold(events: readonly PoolEvent[]): void {
    const touched = new Set<string>()
    for (const event of events) {
      this.#check(event)
      this.#state = poolDecider.evolve(this.#state, structuredClone(event), this.#atMs)
      this.#history.push({ event: structuredClone(event), atMs: this.#atMs })
      for (const nodeId of nodesTouched(event, this.#state)) touched.add(nodeId)
    }
    for (const node of this.#nodes) if (touched.has(node.nodeId)) this.#send(node)
  }

  #check(event: PoolEvent): void {
    if (event.type === 'TaskReported' && !isCurrent(this.#state, event.key)) {
      throw new Error('a line of an older generation was recorded')
    }
    if (event.type !== 'DevicesFreed') return
    for (const rank of event.ranks) {
      const id = executionKey({ ...event, rank })
      if (this.#freed.has(id)) throw new Error(`${id} freed twice`)
      if (this.#truth.alive.has(id)) throw new Error(`${id} freed while its process runs`)
      this.#freed.add(id)
    }
  }

  /** What was freed may never start later. */
  checkTruth(): void {
    for (const id of this.#truth.alive) {
      if (this.#freed.has(id)) throw new Error(`${id} runs after it was freed`)
    }
  }
}

/**
 * A random history: placements, releases, contracts in any order, desired sets applied late,
 * reports late and twice, lost streams, lost nodes, new supervisors, gaps in the scheduler's
 * events. Checked: an execution starts at most once and on one node; nothing released is desired;
 * devices are freed exactly once and only when the process is gone; lines of older generations are
 * never recorded; incremental state = folded state.
 *
 * @throws Error with the seed and the step
 */
export function runPoolWalk(options: { seed: number; steps: number }): WalkResult {
  const walk = new PoolWalk(options.seed)
  let step = 0
  try {
    for (; step < options.steps; step += 1) {
      walk.step()
      walk.checkTruth()
      if (step % 500 === 499) walk.checkFold()
    }
    walk.settle()
    walk.checkFold()
  } catch (error) {
    const reason = error instanceof Error || error instanceof InvariantError ? error.message : error
    const where = `seed ${options.seed}, step ${step}`
    throw new Error(`pool walk failed at ${where}: ${reason}`, { cause: error })
  }
  return walk.result(options.steps)
}
