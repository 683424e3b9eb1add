import type { GangPlaced, SchedulerEvent } from '../core/messages.ts'
import type { GangSpec, JobSpec, NodeFacts, QueueSpec } from '../core/types.ts'
import type { UpdateStarted } from '../core/update-messages.ts'

/** What one rank of a generation came to. */
export type Rank = {
  readonly node: string
  readonly devices: readonly number[]
  readonly ports: readonly number[]
  state: 'granted' | 'started' | 'ended'
  freed: boolean
}

/** A generation as the ledger holds it. */
export type Grant = {
  readonly job: JobSpec
  readonly gang: number
  readonly generation: number
  readonly ranks: readonly Rank[]
  released: boolean
}

type Use = {
  readonly devices: ReadonlySet<number>
  readonly deviceCount: number
  readonly ports: ReadonlySet<number>
  readonly portCount: number
  readonly cpuMillis: number
  readonly memoryMib: number
  /** What the newest task there asked for. */
  readonly cpuWanted: number
  readonly memoryWanted: number
}

/** A job of one gang, or a replica of a service. */
export type Unit = {
  readonly spec: JobSpec
  /** 0 unless it is a replica. */
  readonly gang: number
  generation: number
  /** Tasks wanted of an elastic one. */
  wanted: number
  /** Between two sizes: it waits for what it held itself. */
  resizing: boolean
  draining: boolean
  /** Of a replica: what its probe said last. */
  ready: boolean
  /** Of a replica: what it runs. */
  readonly revision: number
  /** Open request for a checkpoint; empty = none. */
  notice: string
  resizedAtMs: number
}

/** A service that is not over. */
export type ServiceUnit = {
  readonly spec: JobSpec
  wanted: number
  version: number
  lastGang: number
  /** The last update. */
  update: { readonly asked: UpdateStarted; at: 'Rolling' | 'Stalled' | 'Done' } | undefined
}

/** Names a job or a replica. */
export const unitName = (jobId: string, gang: number): string =>
  gang === 0 ? jobId : `${jobId}/${gang}`

/**
 * Independent bookkeeping of the scheduler's events, written without a line of its core: what must
 * be true of them is asked here. Throws an Error that says what is wrong.
 */
export class Ledger {
  readonly nodes = new Map<string, NodeFacts>()
  readonly queues = new Map<string, QueueSpec>()
  /** Unfinished jobs and replicas. */
  readonly jobs = new Map<string, Unit>()
  readonly services = new Map<string, ServiceUnit>()
  #atMs = 0
  readonly grants: Grant[] = []
  /** Sums of what is held, until the next event. */
  readonly #uses = new Map<string, Use>()

  apply(event: SchedulerEvent, atMs = 0): void {
    this.#uses.clear()
    this.#atMs = atMs
    if (this.#applyScaling(event)) return
    switch (event.type) {
      case 'QueueCreated':
        this.queues.set(event.queue.name, event.queue)
        break
      case 'JobQueued':
        this.jobs.set(event.job.jobId, newUnit(event.job, 0))
        break
      case 'NodeObserved':
        this.nodes.set(event.node.nodeId, event.node)
        break
      case 'NodeLost':
        this.nodes.set(event.nodeId, { ...this.nodes.get(event.nodeId)!, state: 'Lost' })
        break
      case 'GangPlaced':
        this.#place(event)
        break
      case 'GangReleased':
        if (event.cause === 'DRAINED') this.#checkServing(event)
        this.#unready(event)
        for (const grant of this.grantsOf(event.jobId, event.gang)) grant.released = true
        if (event.cause === 'RESIZE') this.jobs.get(event.jobId)!.resizing = true
        this.#forget()
        break
      case 'RanksFreed': {
        const { jobId, gang, generation } = event
        const grant = this.grantsOf(jobId, gang).find((g) => g.generation === generation)!
        for (const rank of event.ranks) {
          check(!grant.ranks[rank]!.freed, `rank ${rank} of ${event.jobId} freed twice`)
          grant.ranks[rank]!.freed = true
        }
        this.#forget()
        break
      }
      case 'JobSucceeded':
      case 'JobFailed':
      case 'JobCancelled':
        this.#end(event.jobId)
        break
      default:
        break
    }
  }

  #applyScaling(event: SchedulerEvent): boolean {
    switch (event.type) {
      case 'ServiceQueued': {
        const { jobId, service } = event.job
        const wanted = service!.replicas
        const nothing = { version: 1, lastGang: 0, update: undefined }
        this.services.set(jobId, { spec: event.job, wanted, ...nothing })
        return true
      }
      case 'ReplicasAdded':
        for (const gang of event.gangs) this.#addReplica(event.jobId, gang, event.revision ?? 1)
        return true
      case 'ReplicaReady':
        this.jobs.get(unitName(event.jobId, event.gang))!.ready = event.ready
        return true
      case 'UpdateStarted':
        this.services.get(event.jobId)!.update = { asked: event, at: 'Rolling' }
        return true
      case 'UpdateStalled':
        this.services.get(event.jobId)!.update!.at = 'Stalled'
        return true
      case 'UpdateFinished':
        this.#finishUpdate(event.jobId)
        return true
      case 'ReplicaRemoved': {
        const name = unitName(event.jobId, event.gang)
        check(this.current(event.jobId, event.gang) === undefined, `${name} is gone and holds`)
        check(this.jobs.delete(name), `${name} is gone twice`)
        return true
      }
      case 'ReplicaDraining': {
        const unit = this.jobs.get(unitName(event.jobId, event.gang))!
        check(!unit.draining, `${event.jobId}/${event.gang} drains twice`)
        this.#checkServing(event, event.cause === 'UPDATED')
        check(this.current(event.jobId, event.gang) !== undefined, 'what holds nothing drains')
        unit.draining = true
        return true
      }
      case 'ScaleChanged':
        this.#scale(event)
        return true
      case 'CheckpointRequested': {
        const unit = this.jobs.get(event.jobId)!
        const { cooldownMs, minTasks, maxTasks } = unit.spec.gang.elastic!
        const sinceMs = this.#atMs - unit.resizedAtMs
        check(sinceMs >= cooldownMs, `${event.jobId} changes its size after ${sinceMs} ms`)
        check(event.tasks >= minTasks && event.tasks <= maxTasks, 'a size outside of its limits')
        unit.notice = event.noticeId
        unit.resizedAtMs = this.#atMs
        return true
      }
      default:
        return false
    }
  }

  #addReplica(jobId: string, gang: number, revision: number): void {
    const service = this.services.get(jobId)!
    check(gang === service.lastGang + 1, `gang ${gang} of ${jobId} after ${service.lastGang}`)
    service.lastGang = gang
    const { asked } = service.update ?? {}
    const known = asked === undefined ? [1] : [asked.revision, asked.fromRevision]
    check(known.includes(revision), `${jobId}/${gang} is of revision ${revision}`)
    this.jobs.set(unitName(jobId, gang), newUnit(service.spec, gang, revision))
  }

  #unready(of: { readonly jobId: string; readonly gang: number }): void {
    const unit = this.jobs.get(unitName(of.jobId, of.gang))
    if (unit !== undefined) unit.ready = false
  }

  /** Replicas of a service that do not drain. */
  #counted(jobId: string): Unit[] {
    return [...this.jobs.values()].filter(
      ({ spec, gang, draining }) => spec.jobId === jobId && gang > 0 && !draining,
    )
  }

  /** A ready replica goes in an update: as many as are promised are left. */
  #checkServing(
    { jobId, gang }: { readonly jobId: string; readonly gang: number },
    updated = false,
  ): void {
    const unit = this.jobs.get(unitName(jobId, gang))
    const service = this.services.get(jobId)
    if (service?.update === undefined || unit?.ready !== true || unit.draining) return
    if (service.update.at !== 'Rolling' && !updated) return
    const least = service.wanted - service.update.asked.maxUnavailable
    const ready = this.#counted(jobId).filter((one) => one.ready).length
    check(ready > least, `${jobId} has ${ready} ready replicas, at least ${least} stay`)
  }

  #finishUpdate(jobId: string): void {
    const { update, wanted } = this.services.get(jobId)!
    const replicas = this.#counted(jobId)
    const { revision } = update!.asked
    const done = replicas.every((one) => one.ready && one.revision === revision)
    check(done && replicas.length === wanted, `the update of ${jobId} is not done`)
    update!.at = 'Done'
  }

  #scale(event: Extract<SchedulerEvent, { type: 'ScaleChanged' }>): void {
    const { jobId, wanted, version } = event
    const service = this.services.get(jobId)
    if (service === undefined) {
      this.jobs.get(jobId)!.wanted = wanted
      return
    }
    const { minReplicas, maxReplicas } = service.spec.service!
    check(version === service.version + 1, `scale ${version} of ${jobId} after ${service.version}`)
    check(wanted >= minReplicas && wanted <= maxReplicas, `${wanted} replicas of ${jobId}`)
    service.version = version
    service.wanted = wanted
  }

  #end(jobId: string): void {
    const isService = this.services.delete(jobId)
    const replicas = [...this.jobs.values()].filter(({ spec }) => spec.jobId === jobId)
    if (isService) check(replicas.length === 0, `${jobId} is over and has replicas`)
    else check(this.jobs.delete(jobId), `${jobId} ended twice`)
  }

  /** As many replicas as are wanted, besides those that drain. */
  checkScales(): void {
    const counts = new Map<string, number>()
    for (const { spec, gang, draining } of this.jobs.values()) {
      if (gang === 0 || draining) continue
      counts.set(spec.jobId, (counts.get(spec.jobId) ?? 0) + 1)
    }
    for (const [jobId, { wanted, update }] of this.services) {
      const count = counts.get(jobId) ?? 0
      const { maxSurge = 0, maxUnavailable = 0 } = update?.at === 'Rolling' ? update.asked : {}
      const right = count >= wanted - maxUnavailable && count <= wanted + maxSurge
      check(right, `${jobId} has ${count} replicas, ${wanted} are wanted`)
    }
  }

  grantsOf(jobId: string, gang: number): Grant[] {
    return this.grants.filter((grant) => grant.job.jobId === jobId && grant.gang === gang)
  }

  /** The grant that is neither released nor over. */
  current(jobId: string, gang: number): Grant | undefined {
    return this.grantsOf(jobId, gang).find((grant) => !grant.released)
  }

  #place(event: GangPlaced): void {
    const job = this.jobs.get(unitName(event.jobId, event.gang))
    if (job === undefined) throw new Error(`${event.jobId} is placed after its end`)
    const { gang } = job.spec
    check(event.generation === job.generation + 1, `${event.jobId}: generation out of order`)
    check((event.revision ?? 1) === job.revision, `${event.jobId}: another revision`)
    check(this.current(event.jobId, event.gang) === undefined, `${event.jobId} has two generations`)
    const before = this.grantsOf(event.jobId, event.gang)
    if (gang.exclusive || job.resizing) for (const grant of before) this.#checkGone(grant)
    job.generation = event.generation
    const ranks = this.#ranks(event, gang)
    const least = gang.elastic?.minTasks ?? gang.tasks
    const whole = ranks.length >= least && ranks.length <= job.wanted
    check(whole, `${event.jobId}: ${ranks.length} of ${least} to ${job.wanted} tasks`)
    job.resizing = false
    job.notice = ''
    check(event.rank0Ports.length === gang.rank0Ports, `${event.jobId}: wrong number of ports`)
    for (const rank of ranks) this.#checkRank(rank, gang)
    this.#uses.clear()
    this.grants.push({
      job: job.spec,
      gang: event.gang,
      generation: event.generation,
      ranks,
      released: false,
    })
    for (const node of new Set(event.nodes)) this.#checkNode(node)
    this.#checkQueue(job.spec.queue)
  }

  #ranks(event: GangPlaced, gang: GangSpec): Rank[] {
    check(new Set(event.nodes).size === event.nodes.length, 'a node is named twice')
    const ranks: Rank[] = []
    event.nodes.forEach((node, i) => {
      for (let n = 0; n < event.tasksOnNode[i]!; n++) {
        const from = ranks.length * gang.perTask.devices
        const devices = event.deviceIndexes.slice(from, from + gang.perTask.devices)
        const ports = ranks.length === 0 ? event.rank0Ports : []
        ranks.push({ node, devices, ports, state: 'granted', freed: false })
      }
    })
    return ranks
  }

  #checkGone(grant: Grant): void {
    for (const rank of grant.ranks) {
      const gone = rank.freed || this.nodes.get(rank.node)!.state === 'Lost'
      check(gone, `${grant.job.jobId} runs twice: generation ${grant.generation} may still run`)
    }
  }

  #checkRank(rank: Rank, gang: GangSpec): void {
    const node = this.nodes.get(rank.node)!
    check(node.state === 'Ready', `${rank.node} is ${node.state} and gets a task`)
    check(rank.devices.length === gang.perTask.devices, 'a task lacks devices')
    const models = new Set<string>()
    for (const device of rank.devices) {
      const facts = node.devices[device]
      check(facts?.healthy === true, `device ${device} of ${rank.node} is missing or broken`)
      models.add(facts!.model)
      check(matches(gang, facts!.model), `${facts!.model} was not asked for`)
    }
    check(models.size <= 1, 'a task has devices of two models')
    for (const port of rank.ports) {
      check(port >= node.portFirst && port <= node.portLast, `port ${port} is out of range`)
    }
  }

  #checkNode(nodeId: string): void {
    const facts = this.nodes.get(nodeId)!
    const use = this.use(nodeId)
    check(use.devices.size === use.deviceCount, `a device of ${nodeId} is given twice`)
    check(use.ports.size === use.portCount, `a port of ${nodeId} is given twice`)
    const { cpuMillis, memoryMib } = use
    check(use.cpuWanted === 0 || cpuMillis <= facts.cpuMillis, `CPU of ${nodeId} over-committed`)
    const fits = use.memoryWanted === 0 || memoryMib <= facts.memoryMib
    check(fits, `memory of ${nodeId} over-committed`)
  }

  /** What is held on a node. */
  use(nodeId: string): Use {
    const known = this.#uses.get(nodeId)
    if (known !== undefined) return known
    const use = this.#add(nodeId)
    this.#uses.set(nodeId, use)
    return use
  }

  #add(nodeId: string): Use {
    const devices = new Set<number>()
    const ports = new Set<number>()
    const sums = { deviceCount: 0, portCount: 0, cpuMillis: 0, memoryMib: 0 }
    let last = { cpuWanted: 0, memoryWanted: 0 }
    for (const grant of this.grants) {
      const { perTask } = grant.job.gang
      for (const rank of grant.ranks) {
        if (rank.freed || rank.node !== nodeId) continue
        for (const device of rank.devices) devices.add(device)
        for (const port of rank.ports) ports.add(port)
        sums.deviceCount += rank.devices.length
        sums.portCount += rank.ports.length
        sums.cpuMillis += perTask.cpuMillis
        sums.memoryMib += perTask.memoryMib
        last = { cpuWanted: perTask.cpuMillis, memoryWanted: perTask.memoryMib }
      }
    }
    return { devices, ports, ...sums, ...last }
  }

  #checkQueue(name: string): void {
    const { maximum } = this.queues.get(name)!
    const used = this.usedBy(name)
    for (const dimension of ['devices', 'cpuMillis', 'memoryMib'] as const) {
      const over = maximum[dimension] > 0 && used[dimension] > maximum[dimension]
      check(!over, `queue ${name} is above its maximum of ${dimension}`)
    }
  }

  /** Held by grants of the queue that are not released. */
  usedBy(name: string) {
    const used = { devices: 0, cpuMillis: 0, memoryMib: 0 }
    for (const { job, released, ranks } of this.grants) {
      if (released || job.queue !== name) continue
      used.devices += ranks.length * job.gang.perTask.devices
      used.cpuMillis += ranks.length * job.gang.perTask.cpuMillis
      used.memoryMib += ranks.length * job.gang.perTask.memoryMib
    }
    return used
  }

  /** Could this waiting gang be placed now? Counts tasks node by node, without any index. */
  couldPlace(unit: Unit): boolean {
    const { spec: job } = unit
    const gang = least(job.gang)
    const { maximum } = this.queues.get(job.queue)!
    const used = this.usedBy(job.queue)
    for (const dimension of ['devices', 'cpuMillis', 'memoryMib'] as const) {
      const want = gang.tasks * gang.perTask[dimension]
      if (maximum[dimension] > 0 && used[dimension] + want > maximum[dimension]) return false
    }
    const older = this.grantsOf(job.jobId, unit.gang).flatMap((grant) => grant.ranks)
    const mayRun = (rank: Rank) => !rank.freed && this.nodes.get(rank.node)!.state !== 'Lost'
    if ((gang.exclusive || unit.resizing) && older.some(mayRun)) return false
    let tasks = 0
    let ports = gang.rank0Ports === 0
    for (const facts of this.nodes.values()) {
      const fits = facts.state === 'Ready' ? this.#fits(facts, gang) : { tasks: 0, ports: 0 }
      tasks += fits.tasks
      if (fits.tasks > 0 && fits.ports >= gang.rank0Ports) ports = true
    }
    return tasks >= gang.tasks && ports
  }

  /** Could the known nodes ever hold this gang, if they were empty and whole? */
  couldEverFit({ gang: wanted }: JobSpec): boolean {
    const gang = least(wanted)
    let tasks = 0
    let ports = gang.rank0Ports === 0
    for (const facts of this.nodes.values()) {
      const devices = facts.devices.map((device) => ({ ...device, healthy: true }))
      const fits = this.#fits({ ...facts, devices, nodeId: 'empty' }, gang)
      tasks += fits.tasks
      if (fits.tasks > 0 && fits.ports >= gang.rank0Ports) ports = true
    }
    return tasks >= gang.tasks && ports
  }

  #fits(facts: NodeFacts, gang: GangSpec): { tasks: number; ports: number } {
    const use = this.use(facts.nodeId)
    const { devices, cpuMillis, memoryMib } = gang.perTask
    const byModel = new Map<string, number>()
    facts.devices.forEach((device, i) => {
      if (!device.healthy || use.devices.has(i) || !matches(gang, device.model)) return
      byModel.set(device.model, (byModel.get(device.model) ?? 0) + 1)
    })
    let tasks = gang.tasks
    if (devices > 0) {
      tasks = [...byModel.values()].reduce((sum, free) => sum + Math.floor(free / devices), 0)
    }
    if (cpuMillis > 0) {
      tasks = Math.min(tasks, Math.floor((facts.cpuMillis - use.cpuMillis) / cpuMillis))
    }
    if (memoryMib > 0) {
      tasks = Math.min(tasks, Math.floor((facts.memoryMib - use.memoryMib) / memoryMib))
    }
    const inRange = [...use.ports].filter((p) => p >= facts.portFirst && p <= facts.portLast)
    const ports = facts.portFirst === 0 ? 0 : facts.portLast - facts.portFirst + 1 - inRange.length
    return { tasks: Math.max(0, tasks), ports }
  }

  /** Drops what concerns nobody any more, so that long walks stay fast. */
  #forget(): void {
    for (let i = this.grants.length - 1; i >= 0; i--) {
      const grant = this.grants[i]!
      if (grant.released && grant.ranks.every((rank) => rank.freed)) this.grants.splice(i, 1)
    }
  }
}

/** The smallest gang that will do. */
function least(gang: GangSpec): GangSpec {
  return gang.elastic === undefined ? gang : { ...gang, tasks: gang.elastic.minTasks }
}

function newUnit(spec: JobSpec, gang: number, revision = 1): Unit {
  const before = { generation: 0, resizing: false, draining: false, notice: '' }
  const nothing = { ...before, ready: false, revision }
  return { spec, gang, wanted: spec.gang.tasks, ...nothing, resizedAtMs: Number.NEGATIVE_INFINITY }
}

function matches(gang: GangSpec, model: string): boolean {
  if (gang.deviceModels.length === 0) return true
  return gang.deviceModels.some((pattern) => {
    const prefix = pattern.slice(0, -1)
    return pattern.at(-1) === '*' ? model.indexOf(prefix) === 0 : model === pattern
  })
}

/** Throws unless `holds`. */
export function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}
