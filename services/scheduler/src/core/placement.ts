import { ANY, type Fleet } from './fleet.ts'
import type { GangSpec, Resources } from './types.ts'
import { withTasks } from './types.ts'

/**
 * Where a gang goes. Ranks on one node are neighbours: node 0 has ranks 0 to `tasksOnNode[0]` − 1,
 * and so on.
 */
export type Plan = {
  /** Node indexes. */
  readonly nodes: readonly number[]
  readonly tasksOnNode: readonly number[]
  /** Device indexes, rank after rank, `perTask.devices` each. */
  readonly deviceIndexes: readonly number[]
  /** Ports of rank 0 on the first node. */
  readonly ports: readonly number[]
  /** Where the search for ports started there: not always a port that was free. */
  readonly portsFrom: number
}

type Chunk = { readonly node: number; tasks: number; readonly devices: number[] }
type Search = {
  readonly each: Resources
  readonly models: readonly number[]
  readonly avoid: ReadonlySet<number>
  /** Free ports that a node must have. */
  readonly ports: number
}

const NONE: ReadonlySet<number> = new Set()

/** Model indexes that satisfy a list of patterns, real ones before emulated ones, then by name. */
export function matchingModels(fleet: Fleet, patterns: readonly string[]): number[] {
  const fits = (name: string) =>
    patterns.length === 0 ||
    patterns.some((p) => (p.endsWith('*') ? name.startsWith(p.slice(0, -1)) : name === p))
  const rank = (model: number) => {
    const name = fleet.models[model]!
    return `${name.startsWith('emulated/') ? 1 : 0}${name}`
  }
  return fleet.models
    .map((_, model) => model)
    .filter((model) => fits(fleet.models[model]!))
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
}

/** Tasks of this need that fit on a ready node now, with devices of one model. */
function tasksOn(fleet: Fleet, node: number, model: number, each: Resources): number {
  const byDevices =
    each.devices === 0 ? Infinity : Math.floor(fleet.devicesFree(node, model) / each.devices)
  const byCpu = each.cpuMillis === 0 ? Infinity : Math.floor(fleet.cpuFree(node) / each.cpuMillis)
  const byMemory =
    each.memoryMib === 0 ? Infinity : Math.floor(fleet.memoryFree(node) / each.memoryMib)
  return Math.max(0, Math.min(byDevices, byCpu, byMemory))
}

/**
 * Places a gang all or nothing: on as few nodes as possible, on the fullest that fit, with devices
 * of one model where that is possible (else any of those allowed), away from `avoid` where that is
 * possible. On success the plan is taken in `fleet`; give it back with {@link giveBack}. Exact:
 * undefined means that no placement exists.
 */
export function placeGang(
  fleet: Fleet,
  gang: GangSpec,
  avoid: ReadonlySet<number> = NONE,
): Plan | undefined {
  const needsDevices = gang.perTask.devices > 0
  const models = needsDevices ? matchingModels(fleet, gang.deviceModels) : [ANY]
  const want = gang.perTask.devices * gang.tasks
  const single = models.filter((model) => fleet.pool(model).total >= want)
  const choices = gang.tasks === 1 ? [] : single.map((model) => [model])
  if (gang.tasks === 1 || models.length > 1) {
    const free = models.reduce((sum, model) => sum + fleet.pool(model).total, 0)
    if (free >= want) choices.push(models)
  }
  for (const away of avoid.size > 0 ? [avoid, NONE] : [NONE]) {
    for (const choice of choices) {
      const plan = placeWith(fleet, gang, { models: choice, avoid: away })
      if (plan !== undefined) return plan
    }
  }
  return undefined
}

/**
 * Places as many tasks of a gang as fit, from `gang.tasks` down to `least`; like {@link placeGang}
 * otherwise. More tasks never fit where fewer do not.
 */
export function fittingPlan(
  fleet: Fleet,
  gang: GangSpec,
  options: { readonly least: number; readonly avoid?: ReadonlySet<number> },
): Plan | undefined {
  const { least, avoid = NONE } = options
  const whole = placeGang(fleet, gang, avoid)
  if (whole !== undefined) return whole
  let fits = 0
  let low = least
  let high = gang.tasks - 1
  while (low <= high) {
    const tasks = (low + high + 1) >>> 1
    const plan = placeGang(fleet, withTasks(gang, tasks), avoid)
    if (plan === undefined) {
      high = tasks - 1
      continue
    }
    giveBack(fleet, gang, plan)
    fits = tasks
    low = tasks + 1
  }
  return fits === 0 ? undefined : placeGang(fleet, withTasks(gang, fits), avoid)
}

/** Undoes a plan in the fleet, as if it had never been taken (the rotation of ports included). */
export function giveBack(fleet: Fleet, gang: GangSpec, plan: Plan): void {
  if (plan.ports.length > 0) {
    fleet.ports.give(plan.nodes[0]!, plan.ports)
    fleet.ports.setNext(plan.nodes[0]!, plan.portsFrom)
  }
  let from = 0
  plan.nodes.forEach((node, i) => {
    const count = plan.tasksOnNode[i]! * gang.perTask.devices
    const devices = plan.deviceIndexes.slice(from, from + count)
    fleet.give(node, devices, gang.perTask, plan.tasksOnNode[i]!)
    from += count
  })
}

function placeWith(
  fleet: Fleet,
  gang: GangSpec,
  where: { models: readonly number[]; avoid: ReadonlySet<number> },
): Plan | undefined {
  const chunks = fill(fleet, gang, { ...where, portsFirst: false })
  if (chunks === undefined) return undefined
  let first = 0
  if (gang.rank0Ports > 0) {
    first = chunks.findIndex((chunk) => fleet.ports.free(chunk.node) >= gang.rank0Ports)
  }
  if (first >= 0) return toPlan(fleet, gang, [chunks[first]!, ...without(chunks, first)])
  // None of the best nodes has ports to give: start from one that has.
  undo(fleet, gang.perTask, chunks)
  const again = fill(fleet, gang, { ...where, portsFirst: true })
  return again === undefined ? undefined : toPlan(fleet, gang, again)
}

/** Takes nodes for all tasks, the roomiest first and the last one as tight as possible. */
function fill(
  fleet: Fleet,
  gang: GangSpec,
  where: { models: readonly number[]; avoid: ReadonlySet<number>; portsFirst: boolean },
): Chunk[] | undefined {
  const each = gang.perTask
  const chunks: Chunk[] = []
  let left = gang.tasks
  let fit = left
  while (left > 0) {
    const ports = where.portsFirst && chunks.length === 0 ? gang.rank0Ports : 0
    const search: Search = { each, models: where.models, avoid: where.avoid, ports }
    fit = Math.min(fit, left)
    let found = tightest(fleet, search, fit)
    if (found === undefined) {
      fit = mostTasks(fleet, search, fit)
      found = fit === 0 ? undefined : tightest(fleet, search, fit)
    }
    if (found === undefined) {
      undo(fleet, each, chunks)
      return undefined
    }
    const { node, model } = found
    const devices = each.devices === 0 ? [] : fleet.pickDevices(node, model, fit * each.devices)
    fleet.take(node, devices, each, fit)
    const same = chunks.find((chunk) => chunk.node === node)
    if (same === undefined) chunks.push({ node, tasks: fit, devices })
    else {
      same.tasks += fit
      same.devices.push(...devices)
    }
    left -= fit
    // The first node may have been chosen for its ports: others can hold more.
    if (ports > 0) fit = left
  }
  return chunks
}

/** The fullest node that holds `tasks` more; lowest index among equals. */
function tightest(
  fleet: Fleet,
  search: Search,
  tasks: number,
): { node: number; model: number } | undefined {
  const { each } = search
  const cpu = each.cpuMillis * tasks
  const memory = each.memoryMib * tasks
  let height = 0
  for (const model of search.models) height = Math.max(height, fleet.pool(model).height)
  for (let level = each.devices * tasks; level < height; level++) {
    for (const model of search.models) {
      const pool = fleet.pool(model)
      if (level >= pool.height || pool.counts[level] === 0) continue
      const node = firstIn(fleet, search, pool.levels[level]!, { cpu, memory })
      if (node >= 0) return { node, model }
    }
  }
  return undefined
}

function firstIn(
  fleet: Fleet,
  search: Search,
  bits: Uint32Array,
  need: { cpu: number; memory: number },
): number {
  for (let word = 0; word < bits.length; word++) {
    let rest = bits[word]!
    if (rest === 0 || !fleet.bounds.mayFit(word, need.cpu, need.memory)) continue
    while (rest !== 0) {
      const node = (word << 5) + 31 - Math.clz32(rest & -rest)
      rest &= rest - 1
      if (need.cpu > 0 && fleet.cpuFree(node) < need.cpu) continue
      if (need.memory > 0 && fleet.memoryFree(node) < need.memory) continue
      if (allowed(fleet, search, node)) return node
    }
    fleet.tightenBlock(word)
  }
  return -1
}

function allowed(fleet: Fleet, search: Search, node: number): boolean {
  if (search.ports > 0 && fleet.ports.free(node) < search.ports) return false
  return search.avoid.size === 0 || !search.avoid.has(node)
}

/** Most tasks that any one node can take, at most `cap`. */
function mostTasks(fleet: Fleet, search: Search, cap: number): number {
  const { each } = search
  let best = 0
  for (const model of search.models) {
    const pool = fleet.pool(model)
    for (let level = pool.height - 1; level >= 0 && best < cap; level--) {
      const byDevices = each.devices === 0 ? Infinity : Math.floor(level / each.devices)
      if (byDevices <= best) break
      if (pool.counts[level] === 0) continue
      best = Math.max(best, mostIn(fleet, search, { model, level, best, cap }))
    }
  }
  return Math.min(best, cap)
}

function mostIn(
  fleet: Fleet,
  search: Search,
  at: { model: number; level: number; best: number; cap: number },
): number {
  const bits = fleet.pool(at.model).levels[at.level]!
  let best = at.best
  for (let word = 0; word < bits.length && best < at.cap; word++) {
    let rest = bits[word]!
    if (rest === 0 || fleet.bounds.tasks(word, search.each) <= best) continue
    while (rest !== 0) {
      const node = (word << 5) + 31 - Math.clz32(rest & -rest)
      rest &= rest - 1
      const tasks = tasksOn(fleet, node, at.model, search.each)
      if (tasks > best && allowed(fleet, search, node)) best = tasks
    }
  }
  return best
}

function undo(fleet: Fleet, each: Resources, chunks: readonly Chunk[]): void {
  for (const chunk of chunks) fleet.give(chunk.node, chunk.devices, each, chunk.tasks)
}

function without<T>(items: readonly T[], index: number): T[] {
  return items.filter((_, i) => i !== index)
}

function toPlan(fleet: Fleet, gang: GangSpec, chunks: readonly Chunk[]): Plan {
  const first = chunks[0]!.node
  const portsFrom = fleet.ports.next(first)
  const ports = gang.rank0Ports === 0 ? [] : fleet.ports.pick(first, gang.rank0Ports)
  if (ports.length > 0) fleet.ports.take(first, ports)
  return {
    nodes: chunks.map((chunk) => chunk.node),
    tasksOnNode: chunks.map((chunk) => chunk.tasks),
    deviceIndexes: chunks.flatMap((chunk) => chunk.devices),
    ports,
    portsFrom,
  }
}
