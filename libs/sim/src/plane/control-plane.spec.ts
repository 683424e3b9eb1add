import { describe, expect, it } from 'vitest'
import { scenarioOf } from '../scenarios/index.ts'
import { createWorld } from '../world/index.ts'
import { ControlPlane } from './control-plane.ts'

const scenario = { ...scenarioOf('calm'), replicas: 2, nodes: 1 }
const LOG = { topic: 'serverlessai.log.scheduler.v1', partition: 0 }

async function open() {
  const world = createWorld({ seed: 1 })
  const plane = new ControlPlane({ world, scenario, observe: () => undefined })
  plane.start()
  await world.time.runUntil(20_000)
  plane.open()
  await world.time.runUntil(22_000)
  return { world, plane }
}

describe('the control plane is in order', () => {
  it('when one leads and all follow', async () => {
    const { plane } = await open()
    expect(plane.open()).toEqual([])
    expect(plane.stopped()).toEqual([])
  })

  it('not when one replica has stopped for good', async () => {
    const { world, plane } = await open()
    const follower = plane.processes.find(
      ({ name }) => name === 'scheduler-1' || name === 'scheduler-2',
    )!
    follower.kill()
    await world.time.runUntil(30_000)
    // The start of the log is gone, and there is no snapshot.
    const partition = world.store.partition(LOG)
    partition.records = partition.records.slice(3)
    partition.start += 3
    follower.start()
    await world.time.runUntil(40_000)
    expect(plane.open()).toContain('scheduler: 1 have stopped')
    expect(plane.stopped()).toMatchObject([{ service: 'scheduler', process: follower.name }])
    expect(plane.stopped()[0]?.why).toContain('starts at 3')
    void follower.stop()
    await world.time.runUntil(41_000)
    expect(plane.stopped()).toEqual([])
  })

  it('not when one replica does not follow', async () => {
    const { world, plane } = await open()
    world.network.partition('scheduler-1', 'log')
    world.network.partition('scheduler-2', 'log')
    world.network.heal('scheduler-1', 'log')
    await world.time.runUntil(60_000)
    plane.open()
    await world.time.runUntil(62_000)
    expect(plane.open()).toEqual(['scheduler: followers are behind'])
  })
})
