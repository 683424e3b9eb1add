import { AgentServiceService, ConnectRequest } from '@serverless-ai/contracts/agent/v1/agent'
import {
  GetJobRequest,
  JobServiceService,
  SubmitJobRequest,
} from '@serverless-ai/contracts/job/v1/job'
import { type HandlersOf, RpcError } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import { describe, expect, it } from 'vitest'
import { type RefusalReason, rpcError } from './error-table.ts'
import { followLeader } from './follow.ts'
import { memoryNetwork } from './memory.ts'

type Jobs = HandlersOf<typeof JobServiceService>
type Agents = HandlersOf<typeof AgentServiceService>

const A = '127.0.0.1:1001'
const B = '127.0.0.1:1002'
const C = '127.0.0.1:1003'
const LIST = `${A}, ${B},${C}`
const SUBMIT = SubmitJobRequest.fromPartial({ requestId: 'r1' })

const notLeading = (leaderAddress = ''): RpcError =>
  rpcError('NOT_LEADING', { metadata: { leaderAddress }, retryAfterMs: 200 })

const never = (): never => {
  throw rpcError('UNIMPLEMENTED')
}

/** Replicas that do what the test says; every call that arrives is noted. */
function replicas() {
  const ports = testPorts({ seed: 3 })
  const { clock, timers, logger, randomness, time } = ports
  const network = memoryNetwork({ timers })
  const calls: string[] = []
  const authenticate = () => ({ subject: 's', tenant: '', roles: ['admin', 'agent'] })
  const serve = async (address: string, jobs: Partial<Jobs>, agents?: Agents['connect']) => {
    const server = network.server({ clock, timers, logger, authenticate })
    const noted = Object.fromEntries(
      Object.entries(jobs).map(([name, handler]) => [
        name,
        (...args: unknown[]) => {
          calls.push(address)
          return Reflect.apply(handler, jobs, args)
        },
      ]),
    )
    server.add(JobServiceService, {
      submitJob: never,
      getJob: never,
      listJobs: never,
      watchJob: never,
      cancelJob: never,
      scaleJob: never,
      updateService: never,
      explainJob: never,
      ...noted,
    })
    server.add(AgentServiceService, { connect: agents ?? never })
    await server.listen(address)
    return server
  }
  const following = followLeader(network.transport(), { clock, timers, randomness })
  const target = { address: LIST, token: 't' }
  const client = following.client(JobServiceService, target)
  const agent = following.client(AgentServiceService, target)
  return { time, calls, serve, client, agent }
}

const refuse = (error: () => RpcError) => ({ submitJob: async () => Promise.reject(error()) })
const accept = { submitJob: async () => ({ job: undefined, position: 'mediator:0:1:1' }) }

describe('a call to one of several replicas', () => {
  it('goes to the leader that a follower names, and stays there', async () => {
    const { time, calls, serve, client } = replicas()
    await serve(
      A,
      refuse(() => notLeading(C)),
    )
    await serve(
      B,
      refuse(() => notLeading(C)),
    )
    await serve(C, accept)
    const before = time.nowMs
    await time.run(client.submitJob(SUBMIT))
    expect(time.nowMs).toBe(before)
    await time.run(client.submitJob(SUBMIT))
    expect(calls).toEqual([A, C, C])
  })

  it('finds the processes that serve it among others, and asks those from then on', async () => {
    const { time, calls, serve, client } = replicas()
    const other = refuse(() => rpcError('UNIMPLEMENTED'))
    await serve(A, other)
    await serve(B, other)
    await serve(C, accept)
    const before = time.nowMs
    await time.run(client.submitJob(SUBMIT))
    expect(time.nowMs).toBe(before)
    await time.run(client.submitJob(SUBMIT))
    expect(calls).toEqual([A, B, C, C])
  })

  it('says so when no process of the list serves it', async () => {
    const { time, calls, serve, client } = replicas()
    for (const address of [A, B, C]) {
      await serve(
        address,
        refuse(() => rpcError('UNIMPLEMENTED')),
      )
    }
    for (const _ of [1, 2]) {
      await expect(time.run(client.submitJob(SUBMIT))).rejects.toMatchObject({
        code: 'UNIMPLEMENTED',
      })
    }
    expect(calls).toEqual([A, B, C, C, A, B])
  })

  it('waits for a leader while there is none', async () => {
    const { time, calls, serve, client } = replicas()
    let leads = false
    const follower = {
      submitJob: () => (leads ? accept.submitJob() : Promise.reject(notLeading())),
    }
    for (const address of [A, B, C]) await serve(address, follower)
    time.after(5_000, () => {
      leads = true
    })
    await time.run(client.submitJob(SUBMIT))
    expect(time.nowMs).toBeGreaterThan(5_000)
    expect(time.nowMs).toBeLessThan(7_500)
    expect(calls.length).toBeLessThan(16)
  })

  it('says so in the end: after 10 s, or at its own deadline', async () => {
    const { time, serve, client } = replicas()
    for (const address of [A, B, C])
      await serve(
        address,
        refuse(() => notLeading()),
      )
    await expect(time.run(client.submitJob(SUBMIT))).rejects.toMatchObject({
      reason: 'NOT_LEADING',
    })
    expect(time.nowMs).toBeGreaterThan(7_000)
    expect(time.nowMs).toBeLessThanOrEqual(10_000)
    const from = time.nowMs
    const quick = client.submitJob(SUBMIT, { timeoutMs: 1_000 })
    await expect(time.run(quick)).rejects.toMatchObject({ reason: 'NOT_LEADING' })
    expect(time.nowMs - from).toBeLessThanOrEqual(1_000)
  })

  it('passes over replicas that are gone, also a leader that is', async () => {
    const { time, calls, serve, client } = replicas()
    await serve(
      B,
      refuse(() => notLeading(C)),
    )
    const before = time.nowMs
    const submitted = client.submitJob(SUBMIT, { timeoutMs: 60_000 })
    // Until it is back, B goes on to name C, where nobody answers.
    time.after(3_000, () => void serve(C, accept))
    await time.run(submitted)
    expect(calls.at(-1)).toBe(C)
    expect(time.nowMs - before).toBeLessThan(5_500)
    expect(calls.filter((address) => address === B).length).toBeLessThan(9)
  })

  it('repeats after an unknown outcome only what is safe', async () => {
    const { time, calls, serve, client } = replicas()
    let fail = true
    let reason: 'SERVER_STOPPING' | 'OUTCOME_UNKNOWN' = 'SERVER_STOPPING'
    const once = async () => {
      if (fail) {
        fail = false
        throw rpcError(reason)
      }
      return { job: undefined, position: '' }
    }
    await serve(A, { submitJob: once, getJob: once })
    await serve(B, { submitJob: once, getJob: once })
    await serve(C, { submitJob: once, getJob: once })
    const withoutId = SubmitJobRequest.fromPartial({})
    await expect(time.run(client.submitJob(withoutId))).rejects.toThrow('stopping')
    expect(calls).toEqual([A])
    fail = true
    await time.run(client.submitJob(SUBMIT))
    expect(calls).toEqual([A, B, C])
    fail = true
    await time.run(client.getJob(GetJobRequest.fromPartial({ jobId: 'j' })))
    expect(calls).toEqual([A, B, C, C, A])
    reason = 'OUTCOME_UNKNOWN'
    fail = true
    await expect(time.run(client.submitJob(withoutId))).rejects.toMatchObject({ reason })
    expect(calls.length).toBe(6)
    fail = true
    await time.run(client.submitJob(SUBMIT))
    expect(calls.length).toBe(8)
  })

  it('a request without an id goes on where nothing was sent or carried out', async () => {
    const { time, calls, serve, client } = replicas()
    await serve(
      B,
      refuse(() => rpcError('STOPPING')),
    )
    await serve(C, accept)
    await time.run(client.submitJob(SubmitJobRequest.fromPartial({})))
    expect(calls).toEqual([B, C])
  })

  it('another failure is the answer', async () => {
    const { time, calls, serve, client } = replicas()
    await serve(
      A,
      refuse(() => rpcError('QUEUE_EXISTS')),
    )
    await expect(time.run(client.submitJob(SUBMIT))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    })
    expect(calls).toEqual([A])
  })

  it('a deadline that passes at one replica sends the next call to another', async () => {
    const { time, calls, serve, client } = replicas()
    await serve(A, { submitJob: () => new Promise(() => undefined) })
    await serve(B, accept)
    const hung = client.submitJob(SUBMIT, { timeoutMs: 500 })
    await expect(time.run(hung)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await time.run(client.submitJob(SUBMIT))
    expect(calls).toEqual([A, B])
  })
})

async function collect(items: AsyncIterable<{ position: string }>): Promise<string[]> {
  const seen: string[] = []
  for await (const { position } of items) seen.push(position)
  return seen
}

describe('a stream', () => {
  const WATCH = { jobId: 'j', resumeAfter: '' }

  it('is redirected before its first answer; afterwards its error is the caller’s', async () => {
    const { time, calls, serve, client } = replicas()
    await serve(A, {
      async *watchJob() {
        yield await Promise.reject(notLeading(B))
      },
    })
    await serve(B, {
      async *watchJob() {
        yield { job: undefined, position: 'p1' }
        throw notLeading(C)
      },
    })
    await serve(C, {
      async *watchJob() {
        yield { job: undefined, position: 'p2' }
      },
    })
    await expect(time.run(collect(client.watchJob(WATCH)))).rejects.toMatchObject({
      reason: 'NOT_LEADING',
    })
    expect(calls).toEqual([A, B])
    expect(await time.run(collect(client.watchJob(WATCH)))).toEqual(['p2'])
    expect(calls).toEqual([A, B, C])
  })

  const away = (reason: RefusalReason) => ({
    async *watchJob() {
      yield await Promise.reject(rpcError(reason))
    },
  })
  const shown = {
    async *watchJob() {
      yield { job: undefined, position: 'p' }
    },
  }

  it.each([
    'LOG_UNAVAILABLE',
    'NOT_READY',
    'PARTITION_STOPPED',
    'POSITION_NOT_REACHED',
    'STOPPING',
  ] as const)('begins elsewhere after %s, and stays there', async (reason) => {
    const { time, calls, serve, client } = replicas()
    await serve(A, away(reason))
    await serve(B, shown)
    expect(await time.run(collect(client.watchJob(WATCH)))).toEqual(['p'])
    expect(await time.run(collect(client.watchJob(WATCH)))).toEqual(['p'])
    expect(calls).toEqual([A, B, B])
  })

  it('that no replica can begin fails once all were asked', async () => {
    const { time, calls, serve, client } = replicas()
    for (const address of [A, B, C]) await serve(address, away('PARTITION_STOPPED'))
    const failed = { reason: 'PARTITION_STOPPED' }
    await expect(time.run(collect(client.watchJob(WATCH)))).rejects.toMatchObject(failed)
    expect(calls).toEqual([A, B, C])
  })

  it.each(['LEASE_EXPIRED', 'NODE_AWAY', 'NODE_LOST'] as const)(
    'takes %s for an answer of the leader, and stays with it',
    async (reason) => {
      const { time, calls, serve, client } = replicas()
      await serve(A, away(reason))
      for (const _ of [1, 2]) {
        const failed = { reason }
        await expect(time.run(collect(client.watchJob(WATCH)))).rejects.toMatchObject(failed)
      }
      expect(calls).toEqual([A, A])
    },
  )

  it('of requests is told again from its start', async () => {
    const { time, serve, agent } = replicas()
    const heard: string[] = []
    await serve(A, {}, async function* (requests) {
      for await (const { message } of requests) {
        heard.push(`A ${message?.$case}`)
        throw notLeading(B)
      }
      yield* []
    })
    await serve(B, {}, async function* (requests) {
      for await (const { message } of requests) {
        heard.push(`B ${message?.$case}`)
        yield { message: { $case: 'reportAck', value: { number: 1n } } }
      }
    })
    const hello = ConnectRequest.fromPartial({
      message: { $case: 'hello', value: { nodeId: 'n1' } },
    })
    const beat = ConnectRequest.fromPartial({ message: { $case: 'heartbeat', value: {} } })
    async function* requests() {
      yield hello
      yield beat
    }
    let answers = 0
    const run = async () => {
      for await (const _ of agent.connect(requests())) answers += 1
    }
    await time.run(run())
    expect(heard).toEqual(['A hello', 'B hello', 'B heartbeat'])
    expect(answers).toBe(2)
  })
})
