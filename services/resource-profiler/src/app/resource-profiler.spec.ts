import { ServiceDeclared } from '@serverless-ai/contracts/events/v1/mediator'
import { TaskReported, TaskStarted } from '@serverless-ai/contracts/events/v1/pool_manager'
import { GangPlaced, JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { ProfileServiceService } from '@serverless-ai/contracts/profile/v1/profile'
import {
  NodeSample,
  type Sample,
  ServiceLoad,
  TaskSample,
  TelemetryIntakeServiceService,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { memoryCell } from '@serverless-ai/hosting/testing'
import { openInProcessBus } from '@serverless-ai/telemetry-bus'
import { describe, expect, it } from 'vitest'
import { inputs } from '../adapters/inputs.ts'
import { installResourceProfiler } from '../install.ts'

const LISTEN = '127.0.0.1:1001'
const JOB = { jobId: 'j-0-1', tenant: 'team-a' }

/** The profiler in a process of its own, with a bus, and the words of the other services. */
async function running(seed = 5) {
  const { time, process: make, following } = memoryCell({ seed })
  const bus = openInProcessBus(time)
  const process = make({
    listen: LISTEN,
    telemetry: bus,
    authenticate: (token) => {
      const agent = token.startsWith('node:')
      const tenant = agent || token === 'admin' || token === 'service' ? '' : token
      const role = agent ? 'agent' : tenant === '' ? token : 'tenant'
      return { subject: token, tenant, roles: [role] }
    },
  })
  const { runtime } = installResourceProfiler(process.kit)
  await time.run(process.start())
  const say = async (service: string, name: string, payload: Uint8Array): Promise<void> => {
    const type = `serverlessai.events.v1.${name}`
    const source = inputs.find((one) => one.service === service)
    const event = { type, payload, key: JOB.jobId, tenant: '', source: service, partition: 0 }
    const command = source?.toCommand({ ...event, seq: 1, atMs: time.wallMs() } as never)
    if (command === undefined) throw new Error(`${name} is no input`)
    await time.run(runtime.execute(command))
  }
  const client = (token: string) => {
    const of = following.client(ProfileServiceService, { address: LISTEN, token })
    return new Proxy(of, {
      get: (target, name: keyof typeof of) => (request: never) =>
        time.run(target[name](request) as Promise<never>),
    })
  }
  const intake = (token: string) =>
    following.client(TelemetryIntakeServiceService, { address: LISTEN, token })
  return { time, process, runtime, bus, say, client, intake }
}
type Running = Awaited<ReturnType<typeof running>>

/** A job of one task on node n1. */
async function begins({ say, time }: Running): Promise<void> {
  const state = JobStateChanged.fromPartial({
    ...JOB,
    name: 'train',
    queue: 'q',
    state: 'Admitted',
  })
  await say('scheduler', 'JobStateChanged', JobStateChanged.encode(state).finish())
  const gang = { gang: 0, generation: 1 }
  const perTask = { devices: 0, cpuMillis: 500n, memoryMib: 256n }
  const placed = {
    ...GangPlaced.fromPartial({ ...JOB, ...gang }),
    nodes: ['n1'],
    nodeOfRank: [0],
    perTask,
  }
  await say('scheduler', 'GangPlaced', GangPlaced.encode(placed).finish())
  const { jobId } = JOB
  const started = { jobId, ...gang, rank: 0, nodeId: 'n1', startedMs: BigInt(time.wallMs()) }
  await say(
    'pool-manager',
    'TaskStarted',
    TaskStarted.encode(TaskStarted.fromPartial(started)).finish(),
  )
}

/** Samples of the task on n1, a second apart, that burst for 0.4 s of each second. */
function taskSample(atMs: number, second: number): Sample {
  const stretches = Array.from({ length: 10 }, (_, index) => index)
  const value = {
    ...TaskSample.fromPartial({ ...JOB, gang: 0, generation: 1, rank: 0, nodeId: 'n1' }),
    reading: { source: 'procfs', ageMs: 0n },
    cpuUsTotal: BigInt(second * 400_000),
    memoryUsedMib: 100n,
    cpuTrace: {
      stretchUs: stretches.map(() => 100_000),
      cpuUs: stretches.map((index) => (index < 4 ? 100_000 : 0)),
    },
  }
  return { atMs: BigInt(atMs), value: { $case: 'task', value } }
}

const batchOf = (seq: number, sentMs: number, samples: Sample[], source = 'node/n1') => ({
  batch: {
    source,
    bootId: 'b1',
    seq: BigInt(seq),
    sentMs: BigInt(sentMs),
    droppedSamples: 0n,
    samples,
  },
})

const GET = { jobId: JOB.jobId, minPosition: '' }

describe('the resource profiler', () => {
  it('knows within 20 s the period of a task that tells nothing, and what is enough', async () => {
    const rig = await running()
    const { time, client, intake, runtime, process } = rig
    await begins(rig)
    async function* sends() {
      for (let second = 1; second <= 120; second += 1) {
        await time.sleep(1_000)
        yield batchOf(second, time.wallMs(), [taskSample(time.wallMs(), second)])
      }
    }
    const stream = intake('node:n1').sendTelemetry(sends())
    const { profile: none } = await client('team-a').getProfile(GET)
    expect(none?.iteration?.basis?.unknown).toBe('NO_STEPS')
    expect(none?.cpuMillis).toMatchObject({ basis: { unknown: 'NO_TELEMETRY' } })
    expect(none?.cpuMillis?.p50).toBeUndefined()
    await time.advance(20_000)
    const { profile: soon } = await client('team-a').getProfile(GET)
    expect(soon?.iteration?.basis).toMatchObject({ unknown: '', source: 'cpu-bursts, procfs' })
    expect(Number(soon?.iteration?.periodUs) / 1e6).toBeCloseTo(1, 1)
    expect(soon?.iteration?.readyAfterMs).toBeLessThanOrEqual(20_000n)
    await time.advance(90_000)
    const { profile: later } = await client('team-a').getProfile(GET)
    const [cpu] = later?.advice ?? []
    expect(cpu).toMatchObject({ dimension: 'cpu_millis', requested: 500, basis: { unknown: '' } })
    expect(cpu?.recommended).toBeGreaterThan(440)
    expect(cpu?.recommended).toBeLessThan(490)
    const { position } = runtime.status()
    await time.advance(20_000)
    expect(await time.run(stream)).toMatchObject({
      batches: 120n,
      rejectedSamples: 0n,
      rejected: [],
    })
    // Aggregates alone: three commits of usage, and what was told.
    expect(runtime.status().position - position).toBeLessThan(30)
    await time.advance(130_000)
    const { profile: old } = await client('team-a').getProfile(GET)
    expect(old?.cpuMillis).toMatchObject({ basis: { unknown: 'STALE' } })
    const { story } = await client('team-a').explainProfile({ jobId: JOB.jobId, untilMs: 0n })
    expect(story.map(({ code }) => code)).toContain('PROFILE_KNOWN')
    await time.run(process.stop())
  })

  it('counts reported steps, and shows each tenant what is its own', async () => {
    const rig = await running()
    const { time, say, client, process } = rig
    await begins(rig)
    for (let step = 1; step <= 20; step += 1) {
      await time.advance(1_000)
      const json = JSON.stringify({
        kind: 'progress',
        step: step * 40,
        atMs: Math.round(time.wallMs()),
      })
      const { jobId } = JOB
      const report = { jobId, gang: 0, generation: 1, rank: 0, kind: 'progress', json, line: 1n }
      await say(
        'pool-manager',
        'TaskReported',
        TaskReported.encode(TaskReported.fromPartial(report)).finish(),
      )
    }
    const { profile } = await client('team-a').getProfile(GET)
    expect(Number(profile?.iteration?.periodUs) / 25_000).toBeCloseTo(1, 2)
    const page = { pageSize: 0, pageToken: '', minPosition: '' }
    expect((await client('team-a').listProfiles(page)).profiles).toHaveLength(1)
    expect((await client('admin').listProfiles(page)).profiles).toHaveLength(1)
    expect((await client('team-b').listProfiles(page)).profiles).toEqual([])
    const ask = { jobId: JOB.jobId, horizonMs: 0n, minPosition: '' }
    for (const call of [
      client('team-b').getProfile(GET),
      client('team-b').explainProfile({ jobId: JOB.jobId, untilMs: 0n }),
      client('team-a').forecast(ask),
    ]) {
      await expect(call).rejects.toMatchObject({ reason: 'JOB_NOT_FOUND' })
    }
    await time.run(process.stop())
  })

  it('refuses what a node may not say, and leaves out what cannot be, by code', async () => {
    const { time, intake, process, bus } = await running()
    const heard: string[] = []
    void (async () => {
      for await (const { batch } of bus.subscribe()) {
        heard.push(...batch.samples.map(({ value }) => value?.$case ?? ''))
      }
    })()
    const send = (...requests: ReturnType<typeof batchOf>[]) =>
      time.run(
        intake('node:n1').sendTelemetry(
          (async function* () {
            yield* requests
          })(),
        ),
      )
    const nowMs = time.wallMs()
    await expect(send(batchOf(1, nowMs, [], 'node/n2'))).rejects.toMatchObject({
      reason: 'NODE_ID_MISMATCH',
      code: 'PERMISSION_DENIED',
    })
    await expect(send(batchOf(0, nowMs, []))).rejects.toMatchObject({
      reason: 'TELEMETRY_INVALID',
      code: 'INVALID_ARGUMENT',
    })
    await expect(
      time.run(intake('team-a').sendTelemetry((async function* () {})())),
    ).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    const node = (more: Partial<NodeSample>, atMs = nowMs): Sample => ({
      atMs: BigInt(Math.round(atMs)),
      value: {
        $case: 'node',
        value: {
          ...NodeSample.fromPartial({ nodeId: 'n1' }),
          reading: { source: 'procfs', ageMs: 0n },
          ...more,
        },
      },
    })
    const load: Sample = {
      atMs: BigInt(nowMs),
      value: { $case: 'serviceLoad', value: ServiceLoad.fromPartial({ jobId: 'j' }) },
    }
    const samples = [
      node({ cpuUsTotal: 1_000n }, nowMs - 3_000),
      node({ cpuUsTotal: 2_000n }, nowMs - 2_000),
      node({ cpuUsTotal: 2_000n }, nowMs - 2_000),
      node({ cpuUsTotal: 1_500n }, nowMs - 1_000),
      node({}, nowMs + 60_000),
      node({}, nowMs - 90_000),
      node({ nodeId: 'n2' }),
      node({ reading: { source: 'guess', ageMs: 0n } }),
      node({ reading: { source: 'procfs', ageMs: 60_000n } }),
      node({ memoryUsedMib: 900n, memoryTotalMib: 100n }),
      node({ cpuUsTotal: 2n ** 63n }),
      load,
    ]
    expect(await send(batchOf(1, nowMs, samples))).toMatchObject({
      batches: 1n,
      rejectedSamples: 10n,
      rejected: [
        { code: 'COUNTER_BACKWARDS', samples: 1n },
        { code: 'READING_STALE', samples: 1n },
        { code: 'SAMPLE_ABSURD', samples: 2n },
        { code: 'SAMPLE_FOREIGN', samples: 1n },
        { code: 'SAMPLE_FROZEN', samples: 1n },
        { code: 'SAMPLE_FUTURE', samples: 1n },
        { code: 'SAMPLE_KIND', samples: 1n },
        { code: 'SAMPLE_STALE', samples: 1n },
        { code: 'SOURCE_UNKNOWN', samples: 1n },
      ],
    })
    expect(heard).toEqual(['node', 'node'])
    await time.run(process.stop())
  })

  it('forecasts the load of a service, tells none where none is, rests with it', async () => {
    const rig = await running()
    const { time, say, client, bus, runtime, process } = rig
    const service = ServiceDeclared.fromPartial({ ...JOB, name: 'chat' })
    await say('mediator', 'ServiceDeclared', ServiceDeclared.encode(service).finish())
    const forecast = (horizonMs = 60_000n) =>
      client('team-a').forecast({ jobId: JOB.jobId, horizonMs, minPosition: '' })
    expect((await forecast()).series.map(({ basis }) => basis?.unknown)).toEqual([
      'NO_LOAD',
      'NO_READING',
    ])
    await expect(forecast(5_000n)).rejects.toMatchObject({ reason: 'HORIZON_INVALID' })
    let seq = 0
    let arrived = 0n
    const serve = async (seconds: number, perSecond: bigint): Promise<void> => {
      for (let second = 0; second < seconds; second += 1) {
        seq += 1
        arrived += perSecond
        const value = ServiceLoad.fromPartial({ jobId: JOB.jobId, arrivedTotal: arrived })
        const load: Sample = {
          atMs: BigInt(Math.round(time.wallMs())),
          value: { $case: 'serviceLoad', value },
        }
        const { batch } = batchOf(seq, time.wallMs(), [load], 'gateway/r1')
        bus.publish({ ...batch, sentMs: BigInt(Math.round(time.wallMs())) })
        await time.advance(1_000)
      }
    }
    await serve(300, 5n)
    const { series, bucketMs } = await forecast()
    const [arrivals, tokens] = series
    expect(bucketMs).toBe(10_000n)
    expect(arrivals?.level).toBeCloseTo(50, 0)
    expect(tokens?.basis?.unknown).toBe('NO_READING')
    expect(arrivals?.points.length).toBeGreaterThanOrEqual(6)
    for (const { expected, low, high } of arrivals?.points ?? []) {
      expect(expected).toBeGreaterThan(40)
      expect(low).toBeLessThanOrEqual(expected)
      expect(high).toBeGreaterThanOrEqual(expected)
    }
    await time.advance(400_000)
    const { position } = runtime.status()
    await time.advance(3_600_000)
    expect(runtime.status().position).toBe(position)
    const [rested] = (await forecast()).series
    expect(rested?.points[0]?.expected).toBeLessThan(1)
    await time.run(process.stop())
  })

  it('writes nothing while there is nothing to tell', async () => {
    const { runtime, time, intake, process } = await running()
    async function* sends() {
      for (let second = 1; second <= 60; second += 1) {
        await time.sleep(10_000)
        const value = {
          ...NodeSample.fromPartial({ nodeId: 'n1', cpuUsTotal: BigInt(second) * 100_000n }),
          reading: { source: 'procfs', ageMs: 0n },
        }
        const sample: Sample = {
          atMs: BigInt(Math.round(time.wallMs())),
          value: { $case: 'node', value },
        }
        yield batchOf(second, time.wallMs(), [sample])
      }
    }
    const stream = intake('node:n1').sendTelemetry(sends())
    await time.advance(20_000)
    const { position } = runtime.status()
    await time.advance(700_000)
    expect(await time.run(stream)).toMatchObject({ batches: 60n, rejectedSamples: 0n })
    expect(runtime.status().position).toBe(position)
    await time.run(process.stop())
  })
})
