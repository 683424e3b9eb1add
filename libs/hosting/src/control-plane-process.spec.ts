import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { HealthService } from '@serverless-ai/contracts/grpc/health/v1/health'
import { createMemoryLogStore, openMemoryLog, openSnapshotDirectory } from '@serverless-ai/eventlog'
import { testPorts } from '@serverless-ai/kernel/testing'
import { memoryNetwork } from '@serverless-ai/rpc'
import { expect, it } from 'vitest'
import { ControlPlaneProcess } from './process.ts'
import { counter } from './testing/counter.ts'

const ADDRESS = '127.0.0.1:7070'

function platform() {
  const ports = testPorts({ seed: 1 })
  const network = memoryNetwork({ timers: ports.timers })
  const store = createMemoryLogStore()
  const process = () =>
    new ControlPlaneProcess({
      ports,
      eventLog: openMemoryLog({ ports, store }),
      snapshots: openSnapshotDirectory({ directory: '/snapshots', ports }),
      replica: 'r1',
      listen: ADDRESS,
      peers: {},
      serviceToken: 'service',
      authenticate: (token) => ({ subject: token, tenant: '', roles: [token] }),
      insecureDev: false,
      partition: 0,
      dataDir: '/data',
      version: '0',
      required: [],
      transport: network.transport(),
      server: (options) => network.server(options),
    })
  return { ports, network, process }
}

it('runs on ports alone: virtual time, a log and a network in memory', async () => {
  const { ports, network, process } = platform()
  const { time } = ports
  const first = process()
  const runtime = first.kit.host.add(counter)
  const hooks: string[] = []
  first.kit.onStart(() => hooks.push('start'))
  first.kit.onStop(() => hooks.push('stop'))
  await time.run(first.start())
  await time.run(runtime.execute({ type: 'Add' }))
  const target = { address: ADDRESS, token: 'admin' }
  const admin = network.transport().client(AdminServiceService, target)
  const { partitions } = await time.run(admin.getStatus({ withDigest: false }))
  expect(partitions).toMatchObject([{ service: 'scheduler', role: 'Leading', epoch: 1n }])
  expect(await first.kit.readiness.missing()).toEqual([])
  await time.run(first.stop())
  expect(hooks).toEqual(['start', 'stop'])
  const health = network.transport().client(HealthService, { address: ADDRESS })
  await expect(time.run(health.check({ service: '' }))).rejects.toThrow()

  const second = process()
  const again = second.kit.host.add(counter)
  await time.run(second.start())
  const { value } = await time.run(again.read((state) => state.count))
  expect(value).toBe(1)
  await time.run(second.stop())
})
