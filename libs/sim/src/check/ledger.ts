/**
 * What the public events and the nodes have said so far, folded once for all checkers: jobs, gangs
 * and their generations, nodes, tasks that really run. It judges nothing.
 */

import type { Resources } from '@serverless-ai/contracts/common/v1/common'
import type { GangPlaced, JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { type Node, Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import type { JsonSeen } from './json.ts'
import { isEnd, SERVICES, taskKey } from './names.ts'
import type { CommitSeen, EventSeen, OutsideObservation, Place } from './seen.ts'
import type { TaskKey } from './types.ts'

/** An amount of the schedulable resources. */
export interface Amount {
  readonly devices: number
  readonly cpuMillis: number
  readonly memoryMib: number
}

/** What a job was queued as. */
export interface JobSeen {
  readonly jobId: string
  readonly queue: string
  readonly tasks: number
  /** Fewest and most tasks of a gang; both are `tasks` unless it is elastic. */
  readonly least: number
  readonly most: number
  /** Every replica is a gang of its own. */
  readonly serves: boolean
  readonly perTask: Amount
  readonly rank0Ports: number
  readonly exclusive: boolean
  /** As the scheduler last said; empty before its first event. */
  state: string
  /** Code of the reason why it waits; 0 = none. */
  reason: number
  message: string
  changed: Place
  readonly gangs: Map<number, GangSeen>
}

/** A gang and its generations. */
export interface GangSeen {
  /** The newest generation; 0 = none. */
  generation: number
  releasedThrough: number
  /** Where it was said that no other generation follows. */
  over: Place | undefined
  readonly releases: { readonly through: number; readonly seq: number; readonly at: Place }[]
  readonly placements: Map<number, Placement>
}

/** A generation with what it was given. Index i is rank i. */
export interface Placement {
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  readonly nodes: readonly string[]
  readonly devices: readonly (readonly number[])[]
  readonly ports: readonly number[]
  readonly perTask: Amount
  readonly exclusive: boolean
  /** Public seq of the scheduler's event. */
  readonly seq: number
  readonly at: Place
  /** Ranks whose devices were told to be free. */
  readonly freed: Set<number>
}

/** A node as the pool manager tells it. */
export interface NodeSeen {
  readonly name: string
  /** Indexes of all devices it ever told. */
  readonly devices: Set<number>
  cpuMillis: number
  memoryMib: number
  /** Changes of its state, by public seq of the pool manager. */
  readonly states: { readonly seq: number; readonly state: string; readonly at: Place }[]
}

/** A task that really runs. */
export interface RunningTask {
  readonly key: TaskKey
  readonly node: string
  readonly devices: readonly number[]
  readonly exclusive: boolean
  readonly sinceMs: number
}

/** Amount of a message; absent = nothing. */
export function amountOf(resources: Resources | undefined): Amount {
  return {
    devices: resources?.devices ?? 0,
    cpuMillis: Number(resources?.cpuMillis ?? 0n),
    memoryMib: Number(resources?.memoryMib ?? 0n),
  }
}

/** Generation of an event of the scheduler, rank by rank. */
export function placementOf(value: GangPlaced, at: EventSeen): Placement {
  const perTask = amountOf(value.perTask)
  const { jobId, gang, generation, exclusive, rank0Ports: ports } = value
  const nodes = value.nodeOfRank.map((index) => value.nodes[index] ?? '')
  const devices = nodes.map((_, rank) =>
    value.deviceIndexes.slice(rank * perTask.devices, (rank + 1) * perTask.devices),
  )
  return {
    ...{ jobId, gang, generation, exclusive, ports, nodes, devices, perTask },
    seq: at.seq,
    at: placeOf(at),
    freed: new Set(),
  }
}

const NODE_STATES: Readonly<Record<number, string>> = {
  [Node_State.READY]: 'Ready',
  [Node_State.DISCONNECTED]: 'Disconnected',
  [Node_State.LOST]: 'Lost',
}

/** Folded by the hub after the checkers were told. */
export class Ledger {
  readonly jobs = new Map<string, JobSeen>()
  readonly nodes = new Map<string, NodeSeen>()
  /** By execution. */
  readonly running = new Map<string, RunningTask>()

  gang(jobId: string, gang: number): GangSeen | undefined {
    return this.jobs.get(jobId)?.gangs.get(gang)
  }

  placement(key: Omit<TaskKey, 'rank'>): Placement | undefined {
    return this.gang(key.jobId, key.gang)?.placements.get(key.generation)
  }

  /** State of a node as of a public seq of the pool manager; undefined = not known by then. */
  nodeStateAt(node: string, seq: number): NodeSeen['states'][number] | undefined {
    return this.nodes.get(node)?.states.findLast((change) => change.seq <= seq)
  }

  /**
   * Newest generation that a reader of the scheduler's events up to `seq` knows to be over, and
   * where it was said; undefined = none.
   */
  overAt(gang: GangSeen, seq: number): { through: number; at: Place } | undefined {
    let over: { through: number; at: Place } | undefined
    for (const { through, seq: said, at } of gang.releases) {
      if (said <= seq && through > (over?.through ?? 0)) over = { through, at }
    }
    for (const { generation, seq: said, at } of gang.placements.values()) {
      if (said <= seq && generation - 1 > (over?.through ?? 0)) {
        over = { through: generation - 1, at }
      }
    }
    return over
  }

  applyCommit(seen: CommitSeen): void {
    if (seen.service !== SERVICES.scheduler) return
    for (const event of seen.commit.events) {
      if (event.type !== 'JobQueued' && event.type !== 'ServiceQueued') continue
      const job = jobOf(event.json.inner('job'), placeOf(seen))
      if (!this.jobs.has(job.jobId)) this.jobs.set(job.jobId, job)
    }
  }

  applyEvent(event: EventSeen): void {
    const { body } = event
    switch (body.is) {
      case 'JobStateChanged':
        this.#jobState(body.value, event)
        break
      case 'GangPlaced':
        this.#placed(placementOf(body.value, event))
        break
      case 'GangReleased': {
        const { jobId, gang, throughGeneration: through } = body.value
        const seen = this.#gang(jobId, gang)
        if (seen === undefined) break
        seen.releasedThrough = Math.max(seen.releasedThrough, through)
        seen.releases.push({ through, seq: event.seq, at: placeOf(event) })
        const { cause } = body.value
        if (cause !== 'RECOVER' && cause !== 'RESIZE') seen.over ??= placeOf(event)
        break
      }
      case 'DevicesFreed': {
        const placement = this.placement(body.value)
        for (const rank of body.value.ranks) placement?.freed.add(rank)
        break
      }
      case 'NodeChanged':
        if (body.value.node !== undefined) this.#node(body.value.node, event)
        break
      case 'NodeLost':
        this.nodes.get(body.value.nodeId)?.states.push(stateChange('Lost', event))
        break
    }
  }

  applyObservation(observation: OutsideObservation): void {
    if (observation.kind === 'task-started') {
      const { key, node, devices, exclusive, atMs: sinceMs } = observation
      this.running.set(taskKey(key), { key, node, devices, exclusive, sinceMs })
    } else if (observation.kind === 'task-ended') {
      this.running.delete(taskKey(observation.key))
    }
  }

  #gang(jobId: string, number: number): GangSeen | undefined {
    const job = this.jobs.get(jobId)
    let gang = job?.gangs.get(number)
    if (job !== undefined && gang === undefined) {
      gang = {
        ...{ generation: 0, releasedThrough: 0, over: undefined },
        ...{ releases: [], placements: new Map() },
      }
      job.gangs.set(number, gang)
    }
    return gang
  }

  #jobState(value: JobStateChanged, event: EventSeen): void {
    const job = this.jobs.get(value.jobId)
    // An end is an end: what is told later is a breach, and the ledger keeps what was promised.
    if (job === undefined || isEnd(job.state)) return
    job.state = value.state
    job.reason = value.reason?.code ?? 0
    job.message = value.message
    job.changed = placeOf(event)
  }

  #placed(placement: Placement): void {
    const gang = this.#gang(placement.jobId, placement.gang)
    if (gang === undefined) return
    gang.generation = Math.max(gang.generation, placement.generation)
    gang.placements.set(placement.generation, placement)
  }

  #node(node: Node, event: EventSeen): void {
    let seen = this.nodes.get(node.nodeId)
    if (seen === undefined) {
      seen = { name: node.nodeId, devices: new Set(), cpuMillis: 0, memoryMib: 0, states: [] }
      this.nodes.set(node.nodeId, seen)
    }
    const { inventory } = node
    for (const device of inventory?.devices ?? []) seen.devices.add(device.index)
    seen.cpuMillis = Math.max(seen.cpuMillis, Number(inventory?.cpuMillis ?? 0n))
    seen.memoryMib = Math.max(seen.memoryMib, Number(inventory?.memoryMib ?? 0n))
    seen.states.push(stateChange(NODE_STATES[node.state] ?? '', event))
  }
}

const placeOf = ({ service, position, landedMs }: Place): Place => ({
  service,
  position,
  landedMs,
})

const stateChange = (state: string, event: EventSeen) => ({
  seq: event.seq,
  state,
  at: placeOf(event),
})

function jobOf(job: JsonSeen, changed: Place): JobSeen {
  const gang = job.inner('gang')
  const perTask = gang.inner('perTask')
  const elastic = gang.inner('elastic')
  const tasks = gang.number('tasks')
  return {
    jobId: job.text('jobId'),
    queue: job.text('queue'),
    tasks,
    least: elastic.has('minTasks') ? elastic.number('minTasks') : tasks,
    most: elastic.has('maxTasks') ? elastic.number('maxTasks') : tasks,
    serves: job.has('service'),
    perTask: {
      devices: perTask.number('devices'),
      cpuMillis: perTask.number('cpuMillis'),
      memoryMib: perTask.number('memoryMib'),
    },
    rank0Ports: gang.number('rank0Ports'),
    exclusive: gang.flag('exclusive'),
    state: '',
    reason: 0,
    message: '',
    changed,
    gangs: new Map(),
  }
}
