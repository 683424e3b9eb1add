import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { HealthService } from '@serverless-ai/contracts/grpc/health/v1/health'
import { expect, it } from 'vitest'
import { counter } from './testing/counter.ts'
import { memoryCell } from './testing/memory-cell.ts'

const ADDRESS = '127.0.0.1:7070'

it('runs on ports alone: virtual time, a log and a network in memory', async () => {
  const { time, process, plain } = memoryCell({ seed: 1 })
  const first = process({ listen: ADDRESS })
  const runtime = first.kit.host.add(counter)
  const hooks: string[] = []
  first.kit.onStart(() => hooks.push('start'))
  first.kit.onStop(() => hooks.push('stop'))
  await time.run(first.start())
  await time.run(runtime.execute({ type: 'Add' }))
  const target = { address: ADDRESS, token: 'admin' }
  const admin = plain.client(AdminServiceService, target)
  const { partitions } = await time.run(admin.getStatus({ withDigest: false }))
  expect(partitions).toMatchObject([{ service: 'scheduler', role: 'Leading', epoch: 1n }])
  expect(await first.kit.readiness.missing()).toEqual([])
  await time.run(first.stop())
  expect(hooks).toEqual(['start', 'stop'])
  const health = plain.client(HealthService, { address: ADDRESS })
  await expect(time.run(health.check({ service: '' }))).rejects.toThrow()

  const second = process({ listen: ADDRESS })
  const again = second.kit.host.add(counter)
  await time.run(second.start())
  const { value } = await time.run(again.read((state) => state.count))
  expect(value).toBe(1)
  await time.run(second.stop())
})
