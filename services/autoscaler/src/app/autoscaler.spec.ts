import {
  Mode,
  ScalingServiceService,
  type Target,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import {
  type ResizeRequest,
  type Scale,
  Scale_Unit,
  SchedulerServiceService,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import {
  RequestRecord,
  RequestRecord_Outcome,
  ServiceLoad,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { memoryCell } from '@serverless-ai/hosting/testing'
import { type HandlersOf, RpcError, uuidV7 } from '@serverless-ai/kernel'
import { openInProcessBus, type TelemetryBus, TelemetrySender } from '@serverless-ai/telemetry-bus'
import { describe, expect, it } from 'vitest'
import type { AutoscalerCommand } from '../core/messages.ts'
import { installAutoscaler } from '../install.ts'
import { scale, serviceFacts, settings } from '../testing/stage.ts'

const SCHEDULER = '127.0.0.1:1000'
const LISTEN = ['127.0.0.1:1001', '127.0.0.1:1002']
const S = 'j-0-s'

const notHere = () => Promise.reject(new Error('not here'))

/** Takes what it is asked, as the scheduler does; remembers it. */
function schedulerOf(asked: ResizeRequest[], says: { error?: RpcError | undefined }) {
  const now = new Map<string, Scale>()
  const handlers: HandlersOf<typeof SchedulerServiceService> = {
    validate: notHere,
    enqueue: notHere,
    cancel: notHere,
    recover: notHere,
    giveUp: notHere,
    explain: notHere,
    update: notHere,
    resize: async (request) => {
      asked.push(request)
      if (says.error !== undefined) throw says.error
      const { jobId, wanted, expectedVersion, owner, decisionId } = request
      const base = { unit: Scale_Unit.REPLICAS, min: 0, max: 4, draining: 0 }
      const told = { wanted, granted: wanted, ready: wanted, owner, decisionId }
      const version = expectedVersion + 1n
      const made: Scale = { ...base, ...told, version, changedMs: 0n, notBeforeMs: 0n }
      now.set(jobId, made)
      return { position: '', scale: made, waiting: undefined }
    },
  }
  return handlers
}

/** Autoscalers over one log, a scheduler, a bus and a gateway that sends to it. */
async function running(replicas = 1) {
  const { ports, time, process: make, following } = memoryCell({ seed: 7 })
  const asked: ResizeRequest[] = []
  const says: { error?: RpcError | undefined } = {}
  const scheduler = make({ listen: SCHEDULER })
  scheduler.kit.server.add(SchedulerServiceService, schedulerOf(asked, says))
  const bus = openInProcessBus(time)
  // Ends with its own process alone, like a reader of a broker.
  const own = (): TelemetryBus => ({ ...bus, close: () => Promise.resolve() })
  const addresses = LISTEN.slice(0, replicas)
  const names = addresses.map((_, index) => `r${index + 1}`)
  const all = addresses.map((listen, index) => {
    const process = make({
      listen,
      replica: names[index]!,
      replicas: names,
      peers: { scheduler: SCHEDULER, autoscaler: addresses.join(',') },
      telemetry: own(),
      authenticate: (token) => {
        const tenant = token.startsWith('team') ? token : ''
        return { subject: token, tenant, roles: [tenant === '' ? token : 'tenant'] }
      },
    })
    const { runtime } = installAutoscaler(process.kit, { stepMs: 1_000, giveBackAfterMs: 30_000 })
    return { process, runtime }
  })
  const starting = [scheduler.start(), ...all.map(({ process }) => process.start())]
  await time.run(Promise.all(starting))
  const sender = new TelemetrySender({
    source: 'gateway/r1',
    bootId: 'b1',
    bus,
    clock: ports.clock,
    timers: time,
  })
  let arrivedTotal = 0n
  const load = (inFlight: number, queued = 0) => {
    const value = ServiceLoad.fromPartial({ jobId: S, inFlight, queued, arrivedTotal })
    sender.add({ $case: 'serviceLoad', value })
  }
  /** A second of so many requests that take 100 ms each. */
  const second = async (requests: number) => {
    arrivedTotal += BigInt(requests)
    for (let n = 0; n < requests; n += 1) {
      const outcome = RequestRecord_Outcome.OK
      const times = { queueUs: 1_000n, e2eUs: 101_000n }
      const value = RequestRecord.fromPartial({ jobId: S, tenant: 'team-a', outcome, ...times })
      sender.add({ $case: 'request', value })
    }
    load(requests > 0 ? 1 : 0)
    await time.advance(1_000)
  }
  const client = (token: string) => {
    const target = { address: addresses.join(','), token }
    const of = following.client(ScalingServiceService, target)
    return new Proxy(of, {
      get: (service, name: keyof typeof of) => (request: never) =>
        time.run(service[name](request) as Promise<never>),
    })
  }
  const leader = () => all.find(({ runtime }) => runtime.status().role === 'Leading')!
  const tell = (command: AutoscalerCommand) => time.run(leader().runtime.execute(command))
  const declare = async () => {
    await tell({ type: 'NoteNode', nodeId: 'n1', node: { devices: 4, ready: true } })
    await tell({ type: 'NoteQueue', queue: 'q', devicesMax: 0 })
    const service = serviceFacts({ settings: settings({ idleMs: 1_000 }) })
    await tell({ type: 'DeclareService', jobId: S, tenant: 'team-a', name: 'digits', service })
    const names = { jobId: S, tenant: 'team-a', queue: 'q', name: 'digits' }
    const job = { ...names, state: 'Running', generation: 0, waiting: '', scale: scale() }
    await tell({ type: 'NoteJob', job })
  }
  const requestId = () => uuidV7(time.wallMs(), ports.randomness.bytes(10))
  return { time, all, leader, client, declare, tell, second, load, asked, says, requestId }
}

const demand = { jobId: S, queued: 2, oldestMs: 5n, gateway: 'gateway/r1' }
const numbers = ({ scale: now }: Target) => [now?.wanted, now?.granted, now?.ready]

describe('the autoscaler', () => {
  it('starts a service for the first request, and ends it when it is idle', async () => {
    const { client, declare, second, asked, time } = await running()
    await declare()
    const gateway = client('service')
    expect(await gateway.demand(demand)).toMatchObject({ wanted: 0 })
    await time.advance(50)
    expect(asked).toMatchObject([{ jobId: S, wanted: 1, owner: 'autoscaler', decisionId: 'd-0-1' }])
    expect(await gateway.demand({ ...demand, queued: 0 })).toMatchObject({ wanted: 1 })
    for (let n = 0; n < 5; n += 1) await second(3)
    expect(asked).toHaveLength(1)
    await second(0)
    await second(0)
    await second(0)
    expect(asked.map(({ wanted }) => wanted)).toEqual([1, 0])
    const { targets, budget } = await client('team-a').listTargets({
      pageSize: 0,
      pageToken: '',
      minPosition: '',
    })
    expect(targets.map(numbers)).toEqual([[0, 0, 0]])
    expect(targets[0]).toMatchObject({ mode: Mode.AUTOMATIC, resting: true, blocked: '' })
    expect(budget).toMatchObject({ devices: 4, unknown: false })
  })

  it('keeps a replica for a request that takes longer than ten minutes', async () => {
    const { declare, second, load, asked, time } = await running()
    await declare()
    await second(1)
    for (let n = 0; n < 660; n += 1) {
      load(1)
      await time.advance(1_000)
    }
    expect(asked.map(({ wanted }) => wanted)).toEqual([1])
    for (let n = 0; n < 5; n += 1) await second(0)
    expect(asked.map(({ wanted }) => wanted)).toEqual([1, 0])
  })

  it('follows a load, explains each decision, also at a past position', async () => {
    const { client, declare, second, asked, tell, time } = await running()
    await declare()
    await client('service').demand(demand)
    await time.advance(50)
    const then = await client('team-a').getTarget({ target: 'digits', minPosition: '' })
    for (let n = 0; n < 8; n += 1) await second(18)
    expect(asked.at(-1)?.wanted).toBeGreaterThanOrEqual(3)
    const why = await client('team-a').explain({ target: 'digits', untilMs: 0n, atPosition: '' })
    expect(why.decisions.length).toBe(asked.length)
    const newest = why.decisions.at(-1)
    expect(newest).toMatchObject({ outcome: 'APPLIED', policy: 'predictive', policyVersion: 1 })
    expect(newest?.inputs.map(({ name }) => name)).toContain('arrivals')
    expect(newest?.model.find(({ name }) => name === 'demandPerS')?.value).toBeGreaterThan(9_000n)
    expect(why.story.map(({ code }) => code)).toContain('RESIZED')
    const past = { target: 'digits', untilMs: 0n, atPosition: then.position }
    const before = await client('team-a').explain(past)
    expect(before.decisions).toHaveLength(1)
    await expect(client('team-b').explain({ ...past, atPosition: '' })).rejects.toMatchObject({
      reason: 'TARGET_NOT_FOUND',
    })
    // What was decided for a job that is over can still be asked.
    await tell({ type: 'EndService', jobId: S })
    const over = await client('team-a').explain({ ...past, atPosition: '' })
    expect(over.decisions).toEqual(why.decisions)
    await expect(
      client('team-a').getTarget({ target: 'digits', minPosition: '' }),
    ).rejects.toMatchObject({ reason: 'TARGET_NOT_FOUND' })
    const foreign = { target: 'digits', untilMs: 0n, atPosition: 'scheduler:0:1:1' }
    await expect(client('admin').explain(foreign)).rejects.toMatchObject({
      reason: 'POSITION_INVALID',
    })
  })

  it('writes nothing while there is nothing to decide', async () => {
    const { client, declare, leader, time, load } = await running()
    await declare()
    await time.advance(30_000)
    const { position } = leader().runtime.status()
    await time.advance(3_600_000)
    expect(leader().runtime.status().position).toBe(position)
    load(0)
    await time.advance(60_000)
    expect(leader().runtime.status().position).toBe(position)
    await expect(client('service').demand({ ...demand, jobId: 'j-0-x' })).rejects.toMatchObject({
      reason: 'TARGET_NOT_FOUND',
    })
    await expect(client('team-a').demand(demand)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    })
  })

  it('asks again while the scheduler is away, and once when it says no', async () => {
    const { client, declare, asked, says, time } = await running()
    await declare()
    says.error = new RpcError({ code: 'UNAVAILABLE', reason: 'UNAVAILABLE', message: 'away' })
    await client('service').demand(demand)
    await time.advance(3_000)
    expect(asked.length).toBeGreaterThan(2)
    expect(new Set(asked.map(({ decisionId }) => decisionId)).size).toBe(1)
    says.error = new RpcError({
      code: 'FAILED_PRECONDITION',
      reason: 'SCALE_OWNED',
      message: 'a user decides',
      metadata: { version: '2' },
    })
    await time.advance(15_000)
    const { length } = asked
    await client('service').demand(demand)
    await time.advance(15_000)
    expect(asked.length).toBe(length)
    const { target } = await client('team-a').getTarget({ target: S, minPosition: '' })
    expect(target?.blocked).toBe('PENDING')
  })

  it('tells that the scheduler refused, leaves it alone for 30 s, and asks again', async () => {
    const { client, declare, asked, says, time } = await running()
    await declare()
    const [gateway, team] = [client('service'), client('team-a')]
    const refusal = { code: 'FAILED_PRECONDITION', reason: 'FEATURE_NOT_ENABLED' } as const
    says.error = new RpcError({ ...refusal, message: 'not raised yet', metadata: { level: '2' } })
    const held = async (seconds: number) => {
      for (let n = 0; n < seconds; n += 1) {
        await gateway.demand(demand)
        await time.advance(1_000)
      }
    }
    const target = async () => {
      const told = await team.getTarget({ target: 'digits', minPosition: '' })
      return told.target
    }
    await held(1)
    expect(asked).toHaveLength(1)
    expect(await target()).toMatchObject({
      blocked: 'SCHEDULER_REFUSED',
      scale: { wanted: 0 },
      decision: { outcome: 'APPLIED', wanted: 1 },
    })
    const list = { pageSize: 0, pageToken: '', minPosition: '' }
    const { targets } = await team.listTargets(list)
    expect(targets).toMatchObject([{ blocked: 'SCHEDULER_REFUSED' }])
    const { story } = await team.explain({ target: 'digits', untilMs: 0n, atPosition: '' })
    expect(story.at(-1)).toMatchObject({
      code: 'RESIZE_REFUSED',
      details: { code: 'FEATURE_NOT_ENABLED', decision: asked[0]?.decisionId },
    })
    await held(28)
    expect(asked).toHaveLength(1)
    says.error = undefined
    await held(3)
    expect(asked).toHaveLength(2)
    expect(asked[1]?.decisionId).not.toBe(asked[0]?.decisionId)
    expect(await target()).toMatchObject({ blocked: '', scale: { wanted: 1 } })
  })

  it('only advises, or is silent, where it is told to', async () => {
    const { client, declare, asked, requestId, time } = await running()
    await declare()
    const team = client('team-a')
    const set = (mode: Mode) => team.setMode({ requestId: requestId(), target: 'digits', mode })
    expect((await set(Mode.ADVISE)).target).toMatchObject({ mode: Mode.ADVISE, blocked: 'MODE' })
    await client('service').demand(demand)
    await time.advance(50)
    const { decisions } = await team.explain({ target: 'digits', untilMs: 0n, atPosition: '' })
    expect(decisions).toMatchObject([{ outcome: 'ADVISED', from: 0, wanted: 1 }])
    expect(asked).toEqual([])
    await expect(set(Mode.UNSPECIFIED)).rejects.toMatchObject({ reason: 'INVALID_MODE' })
    await set(Mode.AUTOMATIC)
    await client('service').demand(demand)
    await time.advance(50)
    expect(asked).toHaveLength(1)
  })

  it('goes on with the next leader, which knows who held requests', async () => {
    const { client, declare, all, leader, second, asked, time } = await running(2)
    await declare()
    await client('service').demand(demand)
    await time.advance(50)
    for (let n = 0; n < 5; n += 1) await second(3)
    const { process } = leader()
    const other = all.find((one) => one.process !== process)!
    await time.run(process.stop())
    for (let n = 0; n < 5; n += 1) await second(3)
    expect(other.runtime.status().role).toBe('Leading')
    const { target } = await client('team-a').getTarget({ target: S, minPosition: '' })
    expect(numbers(target!)).toEqual([1, 1, 1])
    // Its gate held requests and says nothing any more: that is no idleness.
    await time.advance(60_000)
    expect(asked.map(({ wanted }) => wanted)).toEqual([1])
    const { decisions } = await client('team-a').explain({
      target: S,
      untilMs: 0n,
      atPosition: '',
    })
    expect(decisions.at(-1)?.hold?.code).toBe('METRICS_UNKNOWN')
    expect((await other.runtime.digest()).digest).toHaveLength(64)
  })
})
