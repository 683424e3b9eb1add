import type { Fleet } from './fleet.ts'
import { matchingModels } from './placement.ts'
import type { Dimension, GangSpec, Reason, Resources, Shortfall } from './types.ts'
import { shapeKey } from './types.ts'

/** Shapes whose verdict is remembered. */
const VERDICTS_MAX = 10_000

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
  const models = matchingModels(fleet, gang.deviceModels)
  const survey = new Survey(fleet, gang)
  for (let node = 0; node < fleet.size; node++) survey.see(node, models)
  return survey.result()
}

/** Walks over the nodes without making objects for each: a cell may have 10,000 of them. */
class Survey {
  readonly #fleet: Fleet
  readonly #each: Resources
  readonly #tasks: number
  #filtered = 0
  #tasksFree = 0
  #tasksTotal = 0
  readonly #free = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  readonly #total = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  readonly #largest = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  #best = -1
  #bestMet = -1
  #bestDevices = -1
  #portsFree = 0
  #portsTotal = 0
  /** Of the node in hand, summed over the models; a task takes devices of one model. */
  #devices = 0
  #devicesLargest = 0
  #byDevices = 0

  constructor(fleet: Fleet, gang: GangSpec) {
    this.#fleet = fleet
    this.#each = gang.perTask
    this.#tasks = gang.tasks
  }

  see(node: number, models: readonly number[]): void {
    const fleet = this.#fleet
    const { cpuMillis, memoryMib, portFirst, portLast } = fleet.facts[node]!
    this.#sum(node, models, false)
    const largest = this.#largest
    if (this.#devicesLargest > largest.devices) largest.devices = this.#devicesLargest
    if (cpuMillis > largest.cpuMillis) largest.cpuMillis = cpuMillis
    if (memoryMib > largest.memoryMib) largest.memoryMib = memoryMib
    const fits = this.#fits(cpuMillis, memoryMib)
    if (fits === 0) {
      this.#filtered++
      return
    }
    this.#tasksTotal += Math.min(fits, this.#tasks)
    this.#total.devices += this.#devices
    this.#total.cpuMillis += cpuMillis
    this.#total.memoryMib += memoryMib
    if (portFirst > 0) this.#portsTotal = Math.max(this.#portsTotal, portLast - portFirst + 1)
    if (fleet.isReady(node)) this.#seeFree(node, models)
  }

  #seeFree(node: number, models: readonly number[]): void {
    const fleet = this.#fleet
    const each = this.#each
    const cpuMillis = Math.max(0, fleet.cpuFree(node))
    const memoryMib = Math.max(0, fleet.memoryFree(node))
    this.#sum(node, models, true)
    this.#free.devices += this.#devices
    this.#free.cpuMillis += cpuMillis
    this.#free.memoryMib += memoryMib
    const fits = this.#fits(cpuMillis, memoryMib)
    this.#tasksFree += Math.min(fits, this.#tasks)
    if (fits > 0) this.#portsFree = Math.max(this.#portsFree, fleet.ports.free(node))
    let met = this.#devicesLargest >= each.devices ? 1 : 0
    if (cpuMillis >= each.cpuMillis) met++
    if (memoryMib >= each.memoryMib) met++
    if (met < this.#bestMet) return
    if (met === this.#bestMet && this.#devicesLargest <= this.#bestDevices) return
    this.#best = node
    this.#bestMet = met
    this.#bestDevices = this.#devicesLargest
  }

  #sum(node: number, models: readonly number[], now: boolean): void {
    const fleet = this.#fleet
    this.#devices = 0
    this.#devicesLargest = 0
    this.#byDevices = 0
    for (let i = 0; i < models.length; i++) {
      const model = models[i]!
      const count = now ? fleet.devicesFree(node, model) : fleet.devicesTotal(node, model)
      if (count === 0) continue
      this.#devices += count
      if (count > this.#devicesLargest) this.#devicesLargest = count
      if (this.#each.devices > 0) this.#byDevices += Math.floor(count / this.#each.devices)
    }
  }

  #fits(cpuMillis: number, memoryMib: number): number {
    const each = this.#each
    let tasks = each.devices > 0 ? this.#byDevices : Infinity
    if (each.cpuMillis > 0) tasks = Math.min(tasks, Math.floor(cpuMillis / each.cpuMillis))
    if (each.memoryMib > 0) tasks = Math.min(tasks, Math.floor(memoryMib / each.memoryMib))
    return tasks
  }

  result(): Capacity {
    return {
      nodesTotal: this.#fleet.size,
      nodesFiltered: this.#filtered,
      readyNodes: this.#fleet.readyNodes,
      tasksFree: Math.min(this.#tasksFree, this.#tasks),
      tasksTotal: Math.min(this.#tasksTotal, this.#tasks),
      free: this.#free,
      total: this.#total,
      best: this.#bestNode(),
      largest: this.#largest,
      portsFree: this.#portsFree,
      portsTotal: this.#portsTotal,
    }
  }

  #bestNode(): BestNode | undefined {
    const node = this.#best
    if (node < 0) return undefined
    const { nodeId, cpuMillis, memoryMib, devices } = this.#fleet.facts[node]!
    const fleet = this.#fleet
    return {
      nodeId,
      free: {
        devices: this.#bestDevices,
        cpuMillis: Math.max(0, fleet.cpuFree(node)),
        memoryMib: Math.max(0, fleet.memoryFree(node)),
      },
      total: { devices: devices.length, cpuMillis, memoryMib },
    }
  }
}

const DIMENSIONS = ['devices', 'cpuMillis', 'memoryMib'] as const

/** Can the fleet, even empty, never hold the gang? Unknown (false) while no node is ready. */
export function neverFits(capacity: Capacity, gang: GangSpec): boolean {
  if (capacity.readyNodes === 0) return false
  return capacity.tasksTotal < gang.tasks || capacity.portsTotal < gang.rank0Ports
}

/** {@link neverFits} for a gang, remembered per shape until a node changes. */
export function canNeverFit(fleet: Fleet, gang: GangSpec): boolean {
  const key = shapeKey(gang)
  let verdict = fleet.verdicts.get(key)
  if (verdict === undefined) {
    verdict = neverFits(capacityFor(fleet, gang), gang)
    if (fleet.verdicts.size >= VERDICTS_MAX) fleet.verdicts.clear()
    fleet.verdicts.set(key, verdict)
  }
  return verdict
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
