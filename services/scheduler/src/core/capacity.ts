import { ANY, type Fleet } from './fleet.ts'
import { matchingModels, tasksOn } from './placement.ts'
import type { Dimension, GangSpec, Reason, Resources, Shortfall } from './types.ts'

/** What the fleet could hold of a gang, now and when empty. */
export type Capacity = {
  readonly nodesTotal: number
  readonly nodesFiltered: number
  readonly readyNodes: number
  /** Tasks that fit on ready nodes now; counts up to the gang's size. */
  readonly tasksFree: number
  /** Tasks that all known nodes hold when empty; counts up to the gang's size. */
  readonly tasksTotal: number
  /** Free on ready nodes that can ever hold a task. */
  readonly free: Resources
  /** Of all known nodes that can ever hold a task, when empty. */
  readonly total: Resources
  /** The ready node that comes closest to one more task, undefined when none is ready. */
  readonly best: BestNode | undefined
  /** Most devices of matching models, CPU and memory of any one node, empty or not. */
  readonly largest: Resources
  /** Most free ports of a ready node, and of any empty node. */
  readonly portsFree: number
  readonly portsTotal: number
}

type BestNode = { readonly nodeId: string; readonly free: Resources; readonly total: Resources }

/** Looks at every node: for verdicts and numbers, never on the way of a placement. */
export function capacityFor(fleet: Fleet, gang: GangSpec): Capacity {
  const each = gang.perTask
  const models = matchingModels(fleet, gang.deviceModels)
  const tally = new Tally(gang)
  for (let node = 0; node < fleet.size; node++) {
    const facts = fleet.facts[node]!
    let devices = 0
    let devicesLargest = 0
    let byDevices = 0
    for (const model of models) {
      const count = fleet.devicesTotal(node, model)
      devices += count
      devicesLargest = Math.max(devicesLargest, count)
      byDevices += each.devices === 0 ? 0 : Math.floor(count / each.devices)
    }
    const total = { devices, cpuMillis: facts.cpuMillis, memoryMib: facts.memoryMib }
    const others = tasksIn(total, { ...each, devices: 0 })
    tally.add({
      nodeId: facts.nodeId,
      total,
      devicesLargest,
      fitsEmpty: each.devices === 0 ? others : Math.min(byDevices, others),
      now: fleet.isReady(node) ? nowOn(fleet, node, { models, each }) : undefined,
      portsTotal: facts.portFirst === 0 ? 0 : facts.portLast - facts.portFirst + 1,
    })
  }
  return tally.result(fleet)
}

/** What a ready node has left; each task takes devices of one model. */
function nowOn(
  fleet: Fleet,
  node: number,
  of: { models: readonly number[]; each: Resources },
): Now {
  let devices = 0
  let devicesLargest = 0
  let byDevices = 0
  for (const model of of.models) {
    const count = fleet.devicesFree(node, model)
    devices += count
    devicesLargest = Math.max(devicesLargest, count)
    byDevices += of.each.devices === 0 ? 0 : Math.floor(count / of.each.devices)
  }
  const others = tasksOn(fleet, node, ANY, { ...of.each, devices: 0 })
  return {
    free: {
      devices,
      cpuMillis: Math.max(0, fleet.cpuFree(node)),
      memoryMib: Math.max(0, fleet.memoryFree(node)),
    },
    devicesLargest,
    fits: of.each.devices === 0 ? others : Math.min(byDevices, others),
    ports: fleet.ports.free(node),
  }
}

type Now = {
  readonly free: Resources
  /** Most free devices of one model. */
  readonly devicesLargest: number
  readonly fits: number
  readonly ports: number
}

type Seen = {
  readonly nodeId: string
  readonly total: Resources
  /** Most devices of one model. */
  readonly devicesLargest: number
  readonly fitsEmpty: number
  /** Undefined when the node is not ready. */
  readonly now: Now | undefined
  readonly portsTotal: number
}

class Tally {
  readonly #gang: GangSpec
  #filtered = 0
  #tasksFree = 0
  #tasksTotal = 0
  #free = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  #total = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  #largest = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  #best: (BestNode & { met: number }) | undefined
  #portsFree = 0
  #portsTotal = 0

  constructor(gang: GangSpec) {
    this.#gang = gang
  }

  add(seen: Seen): void {
    const { perTask: each, tasks } = this.#gang
    raise(this.#largest, { ...seen.total, devices: seen.devicesLargest })
    this.#tasksTotal += Math.min(seen.fitsEmpty, tasks)
    if (seen.fitsEmpty === 0) {
      this.#filtered++
      return
    }
    addTo(this.#total, seen.total)
    this.#portsTotal = Math.max(this.#portsTotal, seen.portsTotal)
    if (seen.now === undefined) return
    addTo(this.#free, seen.now.free)
    this.#tasksFree += Math.min(seen.now.fits, tasks)
    if (seen.now.fits > 0) this.#portsFree = Math.max(this.#portsFree, seen.now.ports)
    const free = { ...seen.now.free, devices: seen.now.devicesLargest }
    const met = dimensionsMet(free, each)
    const best = this.#best
    const better =
      best === undefined || met > best.met || (met === best.met && free.devices > best.free.devices)
    if (better) this.#best = { nodeId: seen.nodeId, free, total: seen.total, met }
  }

  result(fleet: Fleet): Capacity {
    return {
      nodesTotal: fleet.size,
      nodesFiltered: this.#filtered,
      readyNodes: fleet.readyNodes,
      tasksFree: Math.min(this.#tasksFree, this.#gang.tasks),
      tasksTotal: Math.min(this.#tasksTotal, this.#gang.tasks),
      free: this.#free,
      total: this.#total,
      best: this.#best,
      largest: this.#largest,
      portsFree: this.#portsFree,
      portsTotal: this.#portsTotal,
    }
  }
}

type Mutable = { devices: number; cpuMillis: number; memoryMib: number }
const DIMENSIONS = ['devices', 'cpuMillis', 'memoryMib'] as const

function addTo(sum: Mutable, more: Resources): void {
  for (const dimension of DIMENSIONS) sum[dimension] += more[dimension]
}
function raise(top: Mutable, to: Resources): void {
  for (const dimension of DIMENSIONS) top[dimension] = Math.max(top[dimension], to[dimension])
}
function dimensionsMet(free: Resources, each: Resources): number {
  return DIMENSIONS.filter((dimension) => free[dimension] >= each[dimension]).length
}

/** Whole tasks inside an amount. */
function tasksIn(amount: Resources, each: Resources): number {
  let tasks = Infinity
  for (const dimension of DIMENSIONS) {
    if (each[dimension] > 0)
      tasks = Math.min(tasks, Math.floor(amount[dimension] / each[dimension]))
  }
  return tasks
}

/** Can the fleet, even empty, never hold the gang? Unknown (false) while no node is ready. */
export function neverFits(capacity: Capacity, gang: GangSpec): boolean {
  if (capacity.readyNodes === 0) return false
  return capacity.tasksTotal < gang.tasks || capacity.portsTotal < gang.rank0Ports
}

/** The one reason, with numbers, why a gang that could not be placed has to wait for the fleet. */
export function fleetReason(capacity: Capacity, gang: GangSpec): Reason {
  const shortfalls: Shortfall[] = []
  const counts = {
    nodesTotal: capacity.nodesTotal,
    nodesFiltered: capacity.nodesFiltered,
    untilMs: 0,
  }
  if (neverFits(capacity, gang)) {
    return { code: 'NO_MATCHING_NODE', shortfalls: nearestMiss(capacity, gang), ...counts }
  }
  const incomplete = gang.tasks > 1 && capacity.tasksFree > 0 && capacity.tasksFree < gang.tasks
  for (const dimension of DIMENSIONS) {
    const want = gang.perTask[dimension] * gang.tasks
    const free = capacity.free[dimension]
    if (want > free || (dimension === 'devices' && want > 0 && incomplete)) {
      shortfalls.push(sum(dimension, { want, free, total: capacity.total[dimension] }))
    }
  }
  if (gang.tasks > 1 && capacity.tasksFree < gang.tasks) {
    const numbers = { want: gang.tasks, free: capacity.tasksFree, total: capacity.tasksTotal }
    shortfalls.push(sum('tasks', numbers))
  }
  if (capacity.tasksFree === 0) shortfalls.push(...onBestNode(capacity, gang))
  if (shortfalls.length === 0 && capacity.tasksFree < gang.tasks) {
    const numbers = { want: gang.tasks, free: capacity.tasksFree, total: capacity.tasksTotal }
    shortfalls.push(sum('tasks', numbers))
  }
  if (capacity.tasksFree >= gang.tasks) {
    const numbers = { want: gang.rank0Ports, free: capacity.portsFree, total: capacity.portsTotal }
    shortfalls.push({ ...sum('ports', numbers), perTask: true })
  }
  return { code: incomplete ? 'GANG_INCOMPLETE' : 'CAPACITY_WAIT', shortfalls, ...counts }
}

function sum(
  dimension: Dimension,
  numbers: { want: number; free: number; total: number },
): Shortfall {
  return { dimension, ...numbers, nodeId: '', perTask: false }
}

function onBestNode(capacity: Capacity, gang: GangSpec): Shortfall[] {
  const best = capacity.best
  if (best === undefined) return []
  const short = DIMENSIONS.filter((dimension) => best.free[dimension] < gang.perTask[dimension])
  return short.map((dimension) => ({
    dimension,
    want: gang.perTask[dimension],
    free: best.free[dimension],
    total: best.total[dimension],
    nodeId: best.nodeId,
    perTask: true,
  }))
}

/** What the largest nodes have, when not even the empty fleet holds the gang. */
function nearestMiss(capacity: Capacity, gang: GangSpec): Shortfall[] {
  const misses: Shortfall[] = []
  for (const dimension of DIMENSIONS) {
    const want = gang.perTask[dimension]
    const largest = capacity.largest[dimension]
    if (want > largest) {
      const numbers = { want, free: largest, total: largest }
      misses.push({ ...sum(dimension, numbers), perTask: true })
    }
  }
  if (capacity.tasksTotal < gang.tasks) {
    const total = capacity.tasksTotal
    misses.push(sum('tasks', { want: gang.tasks, free: capacity.tasksFree, total }))
    const devices = gang.perTask.devices * gang.tasks
    if (devices > capacity.total.devices) {
      const free = capacity.free.devices
      misses.push(sum('devices', { want: devices, free, total: capacity.total.devices }))
    }
  }
  if (capacity.portsTotal < gang.rank0Ports) {
    const numbers = { want: gang.rank0Ports, free: capacity.portsFree, total: capacity.portsTotal }
    misses.push({ ...sum('ports', numbers), perTask: true })
  }
  return misses
}
