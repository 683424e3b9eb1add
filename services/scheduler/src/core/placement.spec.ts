import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { capacityFor } from './capacity.ts'
import { Fleet } from './fleet.ts'
import { giveBack, type Plan, placeGang } from './placement.ts'
import type { GangSpec, NodeFacts } from './types.ts'

const MODELS = ['a', 'b', 'emulated/a']

function facts(
  nodeId: string,
  has: { models: string[]; cpuMillis: number; ports: number },
): NodeFacts {
  return {
    nodeId,
    state: 'Ready',
    cpuMillis: has.cpuMillis,
    memoryMib: 1_000,
    devices: has.models.map((model) => ({ model, emulated: false, healthy: true })),
    address: nodeId,
    portFirst: has.ports === 0 ? 0 : 100,
    portLast: has.ports === 0 ? 0 : 99 + has.ports,
  }
}

function fleetOf(nodes: readonly { models: string[]; cpuMillis: number; ports: number }[]): Fleet {
  const fleet = new Fleet()
  nodes.forEach((has, i) => {
    fleet.setNode(facts(`n${i}`, has))
  })
  return fleet
}

const gang = (words: Partial<GangSpec> & { devices?: number; cpuMillis?: number }): GangSpec => {
  const { devices = 1, cpuMillis = 0, ...more } = words
  const perTask = { devices, cpuMillis, memoryMib: 0 }
  return { tasks: 1, perTask, deviceModels: [], rank0Ports: 0, exclusive: false, ...more }
}

/** Free devices per node and model, CPU, ports: what a fleet looks like from outside. */
function picture(fleet: Fleet): string {
  const nodes = fleet.ids.map((_, node) => [
    fleet.models.map((_, model) => fleet.devicesFree(node, model)),
    fleet.cpuFree(node),
    fleet.ports.free(node),
    fleet.ports.next(node),
  ])
  return JSON.stringify(nodes)
}

const nodeWords = fc.record({
  models: fc.oneof(
    fc
      .tuple(fc.constantFrom(...MODELS), fc.integer({ min: 0, max: 8 }))
      .map(([model, count]) => Array.from({ length: count }, () => model)),
    fc.array(fc.constantFrom(...MODELS), { maxLength: 8 }),
  ),
  cpuMillis: fc.integer({ min: 0, max: 9 }),
  ports: fc.integer({ min: 0, max: 3 }),
})
const gangWords = fc.record({
  tasks: fc.integer({ min: 1, max: 40 }),
  devices: fc.integer({ min: 0, max: 4 }),
  cpuMillis: fc.integer({ min: 0, max: 3 }),
  rank0Ports: fc.integer({ min: 0, max: 2 }),
  deviceModels: fc.subarray(['a', 'b', 'emulated/*'], { minLength: 0 }),
})

/** The same question asked without any index. */
function fitsAnywhere(fleet: Fleet, want: GangSpec): boolean {
  let tasks = 0
  let ports = want.rank0Ports === 0
  for (let node = 0; node < fleet.size; node++) {
    const { devices, cpuMillis } = want.perTask
    let here = devices === 0 ? want.tasks : 0
    fleet.models.forEach((name, model) => {
      const asked =
        want.deviceModels.length === 0 ||
        want.deviceModels.includes(name) ||
        (name.startsWith('emulated/') && want.deviceModels.includes('emulated/*'))
      if (devices > 0 && asked) here += Math.floor(fleet.devicesFree(node, model) / devices)
    })
    if (cpuMillis > 0) here = Math.min(here, Math.floor(fleet.cpuFree(node) / cpuMillis))
    tasks += here
    if (here > 0 && fleet.ports.free(node) >= want.rank0Ports) ports = true
  }
  return tasks >= want.tasks && ports
}

describe('placement', () => {
  it('finds a place exactly when there is one, and leaves no trace when given back', () => {
    // More than 64 nodes: several words of each bit set, and growth.
    const nodes = fc.array(nodeWords, { minLength: 1, maxLength: 150, size: 'max' })
    const gangs = fc.array(gangWords, { minLength: 1, maxLength: 20, size: 'max' })
    const property = fc.property(nodes, gangs, (has, wanted) => {
      const fleet = fleetOf(has)
      const taken: { want: GangSpec; plan: Plan }[] = []
      const before = picture(fleet)
      for (const words of wanted) {
        const want = gang(words)
        const possible = fitsAnywhere(fleet, want)
        const { tasksFree } = capacityFor(fleet, want)
        const plan = placeGang(fleet, want)
        expect(plan !== undefined).toBe(possible)
        if (plan === undefined) continue
        expect(tasksFree).toBe(want.tasks)
        expect(plan.tasksOnNode.reduce((sum, tasks) => sum + tasks)).toBe(want.tasks)
        expect(new Set(plan.nodes).size).toBe(plan.nodes.length)
        expect(plan.deviceIndexes).toHaveLength(want.tasks * want.perTask.devices)
        taken.push({ want, plan })
      }
      for (const { want, plan } of taken.reverse()) giveBack(fleet, want, plan)
      expect(picture(fleet)).toBe(before)
    })
    fc.assert(property, { numRuns: 150 })
  })

  it('a plan that is given back leaves the rotation of ports where it was', () => {
    const fleet = fleetOf([{ models: ['a', 'a'], cpuMillis: 0, ports: 3 }])
    fleet.ports.take(0, [100])
    // The search starts at a port that somebody holds, and passes it over.
    fleet.ports.setNext(0, 100)
    const want = gang({ rank0Ports: 1 })
    const plan = placeGang(fleet, want)
    expect(plan?.ports).toEqual([101])
    if (plan !== undefined) giveBack(fleet, want, plan)
    expect(fleet.ports.next(0)).toBe(100)
  })

  it('fills the fullest node that fits, the first of equals', () => {
    const eight = { models: Array.from({ length: 8 }, () => 'a'), cpuMillis: 9, ports: 0 }
    const fleet = fleetOf([eight, eight, eight])
    placeGang(fleet, gang({ tasks: 5 }))
    placeGang(fleet, gang({ tasks: 6 }))
    // Free now: 3, 2, 8.
    expect(placeGang(fleet, gang({ tasks: 2 }))?.nodes).toEqual([1])
    expect(placeGang(fleet, gang({ tasks: 2 }))?.nodes).toEqual([0])
    expect(placeGang(fleet, gang({ tasks: 4 }))?.nodes).toEqual([2])
  })

  it('uses few nodes for a gang and fits the rest tightly', () => {
    const count = (n: number) => ({
      models: Array(n).fill('a') as string[],
      cpuMillis: 9,
      ports: 0,
    })
    const fleet = fleetOf([count(1), count(4), count(2), count(8), count(1)])
    const plan = placeGang(fleet, gang({ tasks: 10 }))
    expect(plan).toMatchObject({ nodes: [3, 2], tasksOnNode: [8, 2] })
  })

  it('gives a gang devices of one model where it can, else mixes', () => {
    const of = (...models: string[]) => ({ models, cpuMillis: 9, ports: 0 })
    const fleet = fleetOf([of('a', 'a', 'a'), of('b', 'b', 'b', 'b')])
    expect(placeGang(fleet, gang({ tasks: 4 }))?.nodes).toEqual([1])
    const mixed = fleetOf([of('a', 'a', 'a'), of('b', 'b', 'b', 'b')])
    expect(placeGang(mixed, gang({ tasks: 7 }))?.tasksOnNode).toEqual([4, 3])
  })

  it('puts rank 0 where its ports are', () => {
    const of = (ports: number, devices: number) => ({
      models: Array(devices).fill('a') as string[],
      cpuMillis: 9,
      ports,
    })
    const fleet = fleetOf([of(0, 4), of(2, 2)])
    const plan = placeGang(fleet, gang({ tasks: 6, rank0Ports: 2 }))
    expect(plan).toMatchObject({ nodes: [1, 0], tasksOnNode: [2, 4], ports: [100, 101] })
    // The tightest node has none: the other one is taken.
    const other = fleetOf([of(0, 1), of(2, 2)])
    expect(placeGang(other, gang({ rank0Ports: 1 }))?.nodes).toEqual([1])
  })
})
