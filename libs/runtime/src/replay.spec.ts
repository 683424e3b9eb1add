import { LogOutOfRangeError, logTopic, openMemoryLog } from '@serverless-ai/eventlog'
import { expect, it } from 'vitest'
import { foldLog } from './replay.ts'
import { bank } from './testing/bank.ts'
import { World } from './testing/world.ts'

const definition = bank()

async function recorded() {
  const world = new World()
  const { runtime, log } = await world.started(definition)
  const digests = new Map<number, string>()
  for (let i = 0; i < 20; i += 1) {
    await world.run(runtime.execute({ type: 'Add', key: `k${i % 3}`, n: i }, world.request()))
    const { position, digest } = await world.run(runtime.digest())
    digests.set(position, digest)
    if (i === 10) await world.run(runtime.snapshot())
  }
  const { snapshots } = world.environment(log, 'reader')
  const eventLog = openMemoryLog({ ports: world.ports, store: world.store })
  return { world, eventLog, snapshots, digests, runtime }
}

it('folds a log that nobody runs on to the digests of the partition that wrote it', async () => {
  const { world, eventLog, snapshots, digests } = await recorded()
  for (const [through, digest] of digests) {
    const source = { eventLog, through }
    const full = await world.run(foldLog(definition, source, world.ports))
    expect(full).toMatchObject({ position: through, digest, snapshot: '', diverged: '', epoch: 1 })
    const tail = await world.run(foldLog(definition, { ...source, snapshots }, world.ports))
    expect(tail).toMatchObject({ position: through, digest, publicSeq: full.publicSeq })
  }
  const last = await world.run(foldLog(definition, { eventLog, snapshots }, world.ports))
  expect(last.snapshot).not.toBe('')
  expect(last.state.accounts.get('k1')).toBe(1 + 4 + 7 + 10 + 13 + 16 + 19)
})

it('refuses a position that is not there, and takes an empty log for what it is', async () => {
  const { world, eventLog } = await recorded()
  const { end } = await eventLog.range({ topic: logTopic('bank'), partition: 0 })
  const beyond = foldLog(definition, { eventLog, through: end }, world.ports)
  await expect(world.run(beyond)).rejects.toBeInstanceOf(LogOutOfRangeError)
  const empty = openMemoryLog({ ports: world.ports })
  const folded = await world.run(foldLog(definition, { eventLog: empty }, world.ports))
  expect(folded).toMatchObject({ position: -1, epoch: 0, publicSeq: 0, atMs: 0 })
})
