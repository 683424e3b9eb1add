import { TaskStarted } from '@serverless-ai/contracts/events/v1/pool_manager'
import { GangPlaced, JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { ProfileServiceService } from '@serverless-ai/contracts/profile/v1/profile'
import {
  TaskSample,
  TelemetryIntakeServiceService,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { memoryCell } from '@serverless-ai/hosting/testing'
import { openInProcessBus, type TelemetryBus } from '@serverless-ai/telemetry-bus'
import { expect, it } from 'vitest'
import { inputs } from '../adapters/inputs.ts'
import { installResourceProfiler } from '../install.ts'

const ADDRESSES = ['127.0.0.1:1001', '127.0.0.1:1002']
const KEY = { jobId: 'j-0-1', gang: 0, generation: 1 }

it('a change of the leader counts nothing twice, and goes on', async () => {
  const { time, process: make, following, plain } = memoryCell({ seed: 3 })
  const bus = openInProcessBus(time)
  // Ends with its own process alone, like a reader of a broker.
  const own = (): TelemetryBus => ({ ...bus, close: () => Promise.resolve() })
  const processes = ADDRESSES.map((listen, index) => {
    const replica = `r${index + 1}`
    const peers = { 'resource-profiler': ADDRESSES.join(',') }
    const process = make({
      listen,
      replica,
      replicas: ['r1', 'r2'],
      peers,
      telemetry: own(),
      authenticate: (token) => {
        const roles = [token.startsWith('node:') ? 'agent' : token]
        return { subject: token, tenant: '', roles }
      },
    })
    return { process, ...installResourceProfiler(process.kit) }
  })
  await time.run(Promise.all(processes.map(({ process }) => process.start())))
  const leading = () => processes.find(({ runtime }) => runtime.status().role === 'Leading')
  const say = async (service: string, name: string, payload: Uint8Array): Promise<void> => {
    const input = inputs.find((one) => one.service === service)
    const command = input?.toCommand({ type: `serverlessai.events.v1.${name}`, payload } as never)
    if (command === undefined) throw new Error(`${name} is no input`)
    await time.run(leading()!.runtime.execute(command))
  }
  const { jobId } = KEY
  const state = JobStateChanged.fromPartial({ jobId, tenant: 'a', name: 'x', state: 'Admitted' })
  await say('scheduler', 'JobStateChanged', JobStateChanged.encode(state).finish())
  const placed = {
    ...GangPlaced.fromPartial({ ...KEY, tenant: 'a' }),
    nodes: ['n1'],
    nodeOfRank: [0],
  }
  await say('scheduler', 'GangPlaced', GangPlaced.encode(placed).finish())
  const started = TaskStarted.fromPartial({ ...KEY, rank: 0, nodeId: 'n1' })
  await say('pool-manager', 'TaskStarted', TaskStarted.encode(started).finish())
  // Any replica takes the stream: this one goes to the follower.
  const follower = ADDRESSES[leading() === processes[0] ? 1 : 0]!
  const target = { address: follower, token: 'node:n1' }
  let sent = 0
  async function* sends() {
    for (; sent < 100; ) {
      await time.sleep(1_000)
      sent += 1
      const task = {
        ...TaskSample.fromPartial({ ...KEY, nodeId: 'n1' }),
        reading: { source: 'procfs', ageMs: 0n },
        cpuUsTotal: BigInt(sent * 500_000),
      }
      const atMs = BigInt(Math.round(time.wallMs()))
      const samples = [{ atMs, value: { $case: 'task' as const, value: task } }]
      const about = { source: 'node/n1', bootId: 'b', seq: BigInt(sent), sentMs: atMs }
      yield { batch: { ...about, droppedSamples: 0n, samples } }
    }
  }
  const stream = plain.client(TelemetryIntakeServiceService, target).sendTelemetry(sends())
  const outcome = stream.catch((error: unknown) => error)
  await time.advance(40_000)
  const first = leading()
  await time.run(first!.process.stop())
  await time.advance(40_000)
  expect(leading()).toBeDefined()
  expect(leading()).not.toBe(first)
  await time.advance(40_000)
  expect(await time.run(outcome)).toMatchObject({ batches: 100n, rejectedSamples: 0n })
  const calls = following.client(ProfileServiceService, {
    address: ADDRESSES.join(','),
    token: 'admin',
  })
  const { profile } = await time.run(calls.getProfile({ jobId, minPosition: '' }))
  const samples = Number(profile?.cpuMillis?.basis?.samples)
  // Each second at most once; what gathered at the leader that went may be lost.
  expect(samples).toBeLessThanOrEqual(99)
  expect(samples).toBeGreaterThan(80)
  expect(profile?.cpuMillis?.p50).toBeCloseTo(500, -1)
  await time.run(leading()!.process.stop())
})
