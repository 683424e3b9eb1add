import { JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import {
  Commit_Kind,
  decodeRecord,
  logTopic,
  openSnapshotDirectory,
  type SnapshotStore,
} from '@serverless-ai/eventlog'
import { AsyncChannel } from '@serverless-ai/kernel'
import { rpcError } from '@serverless-ai/rpc'
import { describe, expect, it } from 'vitest'
import type { ServiceKit } from './process.ts'
import { counter } from './testing/counter.ts'
import { memoryCell } from './testing/memory-cell.ts'

const ADDRESSES = ['127.0.0.1:1001', '127.0.0.1:1002']
const REPLICAS = ['r1', 'r2']
const never = (): never => {
  throw rpcError('UNIMPLEMENTED')
}

/** The counter as a service: a command, a read with a minimal position, a watch. */
function installCounter({ host, server }: ServiceKit) {
  const runtime = host.add(counter)
  const count = (minPosition: string) =>
    runtime.read((state) => state.count, minPosition === '' ? {} : { minPosition })
  server.add(QueueServiceService, {
    createQueue: async () => {
      const { position } = await runtime.execute({ type: 'Add' })
      return { queue: undefined, position }
    },
    listQueues: async ({ minPosition }) => {
      const { value, token } = await count(minPosition)
      return { queues: [], nextPageToken: String(value), position: token }
    },
  })
  server.add(JobServiceService, {
    submitJob: never,
    getJob: never,
    listJobs: never,
    cancelJob: never,
    scaleJob: never,
    updateService: never,
    explainJob: never,
    async *watchJob({ resumeAfter }, { signal }) {
      const changes = new AsyncChannel<string>({ max: 100 })
      const stop = runtime.onEffective(({ token }) => changes.push(token))
      signal.addEventListener('abort', () => changes.end(), { once: true })
      try {
        yield { job: undefined, position: (await count(resumeAfter)).token }
        for await (const position of changes) yield { job: undefined, position }
      } finally {
        stop()
      }
    },
  })
  return runtime
}

/** A store that waits before it writes. */
const slowStore = (store: SnapshotStore, wait: () => Promise<void>): SnapshotStore => ({
  list: (address) => store.list(address),
  get: (address, name) => store.get(address, name),
  remove: (address, name) => store.remove(address, name),
  put: async (address, snapshot) => {
    await wait()
    return store.put(address, snapshot)
  },
})

/** Two replicas of the counter over one log in memory. */
function cell({ snapshotMs = 0 } = {}) {
  const { ports, time, store, process: make, following } = memoryCell({ seed: 5 })
  const replica = (index: number) => {
    const snapshots = openSnapshotDirectory({ directory: '/snapshots', ports })
    const process = make({
      snapshots: slowStore(snapshots, () => time.sleep(snapshotMs)),
      replica: REPLICAS[index]!,
      replicas: REPLICAS,
      listen: ADDRESSES[index]!,
    })
    return { process, runtime: installCounter(process.kit) }
  }
  const client = (address: string) => {
    const target = { address, token: 'admin' }
    return {
      queues: following.client(QueueServiceService, target),
      jobs: following.client(JobServiceService, target),
    }
  }
  return { time, replica, client, store }
}

const WANTED = { requestId: 'r', queue: undefined }
const LIST = { pageSize: 0, pageToken: '' }

/** Two running replicas; `leader` leads, `follower` follows. */
async function running(options: Parameters<typeof cell>[0] = {}) {
  const world = cell(options)
  const both = [world.replica(0), world.replica(1)]
  await world.time.run(Promise.all(both.map(({ process }) => process.start())))
  const index = both.findIndex(({ runtime }) => runtime.status().role === 'Leading')
  const at = (i: number) => ({ ...both[i]!, address: ADDRESSES[i]! })
  return { ...world, leader: at(index), follower: at(1 - index) }
}

describe('two replicas of a service', () => {
  it('both are ready, one leads, and a follower sends commands to it', async () => {
    const { time, leader, follower, client } = await running()
    expect(follower.runtime.status()).toMatchObject({ role: 'Following' })
    expect(await leader.process.kit.readiness.missing()).toEqual([])
    expect(await follower.process.kit.readiness.missing()).toEqual([])
    const { queues } = client(follower.address)
    const { position } = await time.run(queues.createQueue(WANTED))
    expect(position).toMatch(/^scheduler:0:/)
    expect(await time.run(leader.runtime.read((state) => state.count))).toMatchObject({ value: 1 })
  })

  it('a follower serves reads, not older than the position asked for', async () => {
    const { time, leader, follower, client } = await running()
    const written = await time.run(client(leader.address).queues.createQueue(WANTED))
    const { queues } = client(follower.address)
    const request = { ...LIST, minPosition: written.position }
    const { nextPageToken: count } = await time.run(queues.listQueues(request))
    expect(count).toBe('1')
    expect(follower.runtime.status().role).toBe('Following')
  })

  it('a call goes on with the next leader when one is gone', async () => {
    const { time, leader, follower, client } = await running()
    const { queues } = client(`${leader.address},${follower.address}`)
    await time.run(queues.createQueue(WANTED))
    await time.run(leader.process.stop())
    const { position } = await time.run(queues.createQueue(WANTED))
    expect(follower.runtime.status().role).toBe('Leading')
    const request = { ...LIST, minPosition: position }
    expect((await time.run(queues.listQueues(request))).nextPageToken).toBe('2')
  })

  it('one that stops yields first; until then nobody takes its place', async () => {
    const { time, leader, follower, client, store } = await running({ snapshotMs: 2_000 })
    const { queues } = client(ADDRESSES.join(','))
    const { position } = await time.run(queues.createQueue(WANTED))
    const startMs = time.nowMs
    const stopped = leader.process.stop()
    // Meanwhile it sends commands away, and they wait for the next one.
    const written = queues.createQueue({ ...WANTED, requestId: '' })
    const read = await time.run(queues.listQueues({ ...LIST, minPosition: position }))
    expect(read.nextPageToken).toBe('1')
    await time.run(written)
    expect(follower.runtime.status()).toMatchObject({ role: 'Leading', epoch: 2 })
    expect(time.nowMs - startMs).toBeGreaterThan(2_000)
    expect(time.nowMs - startMs).toBeLessThan(5_000)
    await time.run(stopped)
    const { records } = store.partition({ topic: logTopic('scheduler'), partition: 0 })
    const bodies = records.map(({ value }) => decodeRecord(value).body)
    const claim = bodies.findIndex((body) => body?.$case === 'claim' && body.value.epoch === 2n)
    const before = bodies[claim - 1]
    expect(before?.$case === 'commit' && before.value.kind).toBe(Commit_Kind.YIELD)
  })

  it('a watch goes on at the follower where it was', async () => {
    const { time, leader, follower, client } = await running()
    const { queues, jobs } = client(ADDRESSES.join(','))
    const first: string[] = []
    const watch = async (resumeAfter: string, into: string[], most: number) => {
      for await (const { position } of jobs.watchJob({ jobId: 'j', resumeAfter })) {
        if (into.push(position) === most) return
      }
    }
    const watching = watch('', first, 9).catch((error: unknown) => error)
    await time.run(queues.createQueue(WANTED))
    await time.run(leader.process.stop())
    await time.run(watching)
    const resumed: string[] = []
    const again = watch(first.at(-1) ?? '', resumed, 2)
    const { position } = await time.run(queues.createQueue(WANTED))
    await time.run(again)
    expect(resumed.at(-1)).toBe(position)
    expect(follower.runtime.status().role).toBe('Leading')
  })
})
