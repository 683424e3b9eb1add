import { logTopic } from '@serverless-ai/eventlog'
import { expect, it } from 'vitest'
import { add, bank } from './testing/bank.ts'
import { Replicas } from './testing/replicas.ts'
import { World } from './testing/world.ts'

it('is led again after the log was restored from an older copy under its replicas', async () => {
  const world = new World()
  const replicas = new Replicas({ world })
  const first = await replicas.started()
  await world.run(first.runtime.execute(add('kept')))
  const { records } = world.store.partition({ topic: logTopic('bank'), partition: 0 })
  const middle = records.length
  for (let n = 0; n < 20; n += 1) await world.run(first.runtime.execute(add('lost')))
  // The others have read all of it: every position to come is one that they know.
  await world.time.advance(500)
  replicas.kill(first)
  const partition = world.store.partition({ topic: logTopic('bank'), partition: 0 })
  partition.records = partition.records.slice(0, middle)
  const { replica } = await replicas.successor(first)
  await world.run(replica.runtime.execute(add('new')))
  const { state, digest } = await world.fold(bank(), {})
  expect([...state.accounts.keys()]).toEqual(['kept', 'new'])
  expect(await world.run(replica.runtime.digest())).toMatchObject({ digest })
})
