import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { invariant } from '@serverless-ai/kernel'
import { expect, it } from 'vitest'
import { counter } from './testing/counter.ts'
import { memoryCell } from './testing/memory-cell.ts'

const ADDRESS = '127.0.0.1:1001'

it('a process starts with a partition that has stopped, and a void brings it back', async () => {
  const cell = memoryCell({ seed: 5 })
  const { time, ports } = cell
  let limit = Number.POSITIVE_INFINITY
  const fragile = {
    ...counter,
    decider: {
      ...counter.decider,
      evolve: (state: { count: number }) => {
        invariant(state.count < limit, 'too many')
        state.count += 1
        return state
      },
    },
  }
  const start = async () => {
    const process = cell.process({ listen: ADDRESS })
    const runtime = process.kit.host.add(fragile)
    await time.run(process.start())
    return { process, runtime }
  }
  const admin = cell.plain.client(AdminServiceService, { address: ADDRESS, token: 'admin' })
  const first = await start()
  for (let n = 0; n < 3; n += 1) await time.run(first.runtime.execute({ type: 'Add' }))
  await time.run(first.process.stop())
  // A snapshot would hide the record: without it the whole log is folded.
  for (const path of [...ports.disk.files.keys()]) await ports.disk.remove(path)
  limit = 2

  const stopped = await start()
  const status = await time.run(admin.getStatus({ withDigest: false }))
  expect(status.partitions[0]).toMatchObject({ role: 'Stopped' })
  expect(status.partitions[0]?.alarm).toMatch(/record 3 cannot be folded: .*too many/)
  expect(await stopped.process.kit.readiness.missing()).toEqual(['scheduler is not serving'])
  const base = { service: 'scheduler', position: 3n }
  const looked = await time.run(admin.voidRecord({ ...base, recordHash: '', validateOnly: true }))
  expect(looked.events).toMatchObject([{ type: 'Added', data: '{"type":"Added"}' }])
  const { recordHash } = looked
  const done = await time.run(admin.voidRecord({ ...base, recordHash, validateOnly: false }))
  expect(Number(done.voidPosition)).toBeGreaterThan(3)
  await time.run(stopped.process.stop())

  const next = await start()
  expect(next.runtime.status()).toMatchObject({ role: 'Leading', alarm: '' })
  expect(await time.run(next.runtime.read((state) => state.count))).toMatchObject({ value: 2 })
})
