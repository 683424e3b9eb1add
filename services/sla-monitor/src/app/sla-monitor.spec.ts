import {
  ActionStep_Action,
  Indicator,
  Objective,
  ObjectiveServiceService,
  Severity,
} from '@serverless-ai/contracts/objective/v1/objective'
import {
  RequestRecord,
  RequestRecord_Outcome,
  ServiceLoad,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { memoryCell } from '@serverless-ai/hosting/testing'
import { uuidV7 } from '@serverless-ai/kernel'
import { openInProcessBus, TelemetrySender } from '@serverless-ai/telemetry-bus'
import { describe, expect, it } from 'vitest'
import { installSlaMonitor } from '../install.ts'

const LISTEN = '127.0.0.1:1001'

/** The monitor in a process of its own, with a bus and a gateway that sends to it. */
async function running(seed = 5) {
  const { ports, time, process: make, following } = memoryCell({ seed })
  const bus = openInProcessBus(time)
  const process = make({
    listen: LISTEN,
    telemetry: bus,
    authenticate: (token) => {
      const tenant = token === 'admin' || token === 'service' ? '' : token
      return { subject: token, tenant, roles: [tenant === '' ? token : 'tenant'] }
    },
  })
  const { runtime } = installSlaMonitor(process.kit)
  await time.run(process.start())
  const clock = ports.clock
  const sender = new TelemetrySender({
    source: 'gateway/r1',
    bootId: 'b1',
    bus,
    clock,
    timers: time,
  })
  const client = (token: string) => {
    const of = following.client(ObjectiveServiceService, { address: LISTEN, token })
    return new Proxy(of, {
      get: (target, name: keyof typeof of) => (request: never) =>
        time.run(target[name](request) as Promise<never>),
    })
  }
  const requestId = () => uuidV7(time.wallMs(), ports.randomness.bytes(10))
  const serve = (outcome: RequestRecord['outcome'], more: Partial<RequestRecord> = {}) => {
    const value = RequestRecord.fromPartial({
      jobId: 'j-0-1',
      tenant: 'team-a',
      class: 'interactive',
      outcome,
      e2eUs: 90_000n,
      ...more,
    })
    sender.add({ $case: 'request', value })
  }
  return { time, process, runtime, client, requestId, serve, sender, bus }
}

const SCALE = {
  action: ActionStep_Action.SCALE,
  severity: Severity.PAGE,
  afterMs: 0n,
  class: '',
}
const OBJECTIVE: Objective = {
  ...Objective.fromPartial({
    name: 'fast',
    indicator: Indicator.E2E,
    targetPpm: 990_000,
    thresholdUs: 100_000n,
    windowMs: 3_600_000n,
  }),
  actions: [SCALE],
}

describe('the SLA monitor', () => {
  it('refuses classes of requests that there are not, and says which there are', async () => {
    const { client, requestId } = await running()
    const team = client('team-a')
    const shed = (name: string) => ({ ...SCALE, action: ActionStep_Action.SHED, class: name })
    const create = (objective: Partial<Objective>, validateOnly: boolean) =>
      team.createObjective({
        requestId: requestId(),
        objective: { ...OBJECTIVE, ...objective },
        validateOnly,
      })
    const unknown = (field: string) => ({
      code: 'INVALID_ARGUMENT',
      reason: 'CLASS_UNKNOWN',
      message:
        `there is no class "foo" of requests (${field}); ` +
        'there are interactive, standard, batch',
    })
    for (const dry of [true, false]) {
      const action = create({ actions: [SCALE, shed('foo')] }, dry)
      await expect(action).rejects.toMatchObject(unknown('actions[1].class'))
      await expect(create({ class: 'foo' }, dry)).rejects.toMatchObject(unknown('class'))
      const none = create({ actions: [shed('')] }, dry)
      await expect(none).rejects.toMatchObject({ reason: 'CLASS_UNKNOWN' })
    }
    const { objective } = await create({ actions: [shed('batch')], class: 'interactive' }, false)
    const update = (actions: Objective['actions']) =>
      team.updateObjective({
        requestId: requestId(),
        objective: { ...OBJECTIVE, ...objective, actions },
      })
    await expect(update([shed('foo')])).rejects.toMatchObject(unknown('actions[0].class'))
    const { objective: updated } = await update([shed('standard')])
    expect(updated?.actions).toMatchObject([{ class: 'standard' }])
  })

  it('takes an objective, counts what gateways measure, alerts, asks, recovers', async () => {
    const { time, client, requestId, serve, process } = await running()
    const team = client('team-a')
    const made = await team.createObjective({
      requestId: requestId(),
      objective: OBJECTIVE,
      validateOnly: false,
    })
    const id = made.objective?.objectiveId ?? ''
    expect(made.objective).toMatchObject({ tenant: 'team-a', minSample: 10, version: 1 })
    expect(made.objective?.rules.map(({ burnMilli }) => burnMilli)).toEqual([
      14_400n,
      6_000n,
      3_000n,
      1_000n,
    ])
    const status = async () => {
      const minPosition = made.position
      const { status: now } = await team.getObjectiveStatus({ objective: 'fast', minPosition })
      return now
    }
    expect(await status()).toMatchObject({ state: 'NO_DATA', dataState: 'OK' })
    for (let n = 0; n < 600; n += 1) {
      serve(RequestRecord_Outcome.OK)
      if (n % 100 === 0) await time.advance(250)
    }
    await time.advance(4_000)
    expect(await status()).toMatchObject({
      state: 'OK',
      counts: { good: 600n, bad: 0n },
      attainedPpm: 1_000_000,
      budgetLeftPpm: 1_000_000n,
    })
    for (let n = 0; n < 40; n += 1) {
      for (let m = 0; m < 20; m += 1) serve(RequestRecord_Outcome.OK, { e2eUs: 100_001n })
      await time.advance(500)
    }
    await time.advance(8_000)
    const breached = await status()
    expect(breached?.state).toBe('BREACHED')
    expect(breached?.actions).toMatchObject([
      { objectiveId: id, step: { action: ActionStep_Action.SCALE }, withdrawnMs: 0n },
    ])
    expect(breached?.breaches[0]?.longBad).toBeGreaterThan(0n)
    await time.advance(600_000)
    const calm = await status()
    expect([calm?.breaches, calm?.actions]).toEqual([[], []])
    const { story } = await team.explainObjective({ objective: id, untilMs: 0n })
    const codes = story.map(({ code }) => code)
    expect(codes[0]).toBe('OBJECTIVE_DECLARED')
    for (const code of ['OBJECTIVE_BREACHED', 'ACTION_REQUESTED', 'OBJECTIVE_RECOVERED']) {
      expect(codes).toContain(code)
    }
    const { open, statements } = await team.getLedger({ objective: 'fast', tenant: '', limit: 0 })
    expect(open).toMatchObject([{ tenant: 'team-a', counts: { good: 600n, bad: 800n }, hash: '' }])
    expect(statements).toEqual([])
    await time.run(process.stop())
  })

  it('refuses what cannot fire with the numbers and the mend, and says it before', async () => {
    const { client, requestId, process, time } = await running()
    const objective = { ...OBJECTIVE, targetPpm: 900_000 }
    const request = { requestId: requestId(), objective, validateOnly: true }
    await expect(client('team-a').createObjective(request)).rejects.toMatchObject({
      reason: 'ALERT_CANNOT_FIRE',
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(
        'can never fire: with everything bad the burn rate is 10. ' +
          'Mend: a target of at least 93.0556 %',
      ),
    })
    const fine = { ...request, objective: OBJECTIVE }
    const { objective: shown } = await client('team-a').createObjective(fine)
    expect(shown).toMatchObject({ objectiveId: '', tenant: 'team-a' })
    const { objectives } = await client('team-a').listObjectives({
      pageSize: 0,
      pageToken: '',
      minPosition: '',
    })
    expect(objectives).toEqual([])
    const bad = { ...fine, objective: { ...OBJECTIVE, indicator: Indicator.UNSPECIFIED } }
    await expect(client('team-a').createObjective(bad)).rejects.toMatchObject({
      reason: 'INVALID_OBJECTIVE',
    })
    await time.run(process.stop())
  })

  it('shows and gives to each tenant what is its own', async () => {
    const { client, requestId, serve, time, process } = await running()
    const create = (token: string, more: Partial<Objective>) =>
      client(token).createObjective({
        requestId: requestId(),
        objective: { ...OBJECTIVE, ...more },
        validateOnly: false,
      })
    const own = await create('team-a', {})
    await create('admin', { name: 'all' })
    await expect(create('team-b', { tenant: 'team-a', name: 'x' })).rejects.toMatchObject({
      reason: 'INVALID_OBJECTIVE',
    })
    await expect(create('team-a', {})).rejects.toMatchObject({ reason: 'OBJECTIVE_EXISTS' })
    serve(RequestRecord_Outcome.OK)
    serve(RequestRecord_Outcome.FAILED, { tenant: 'team-b' })
    await time.advance(3_000)
    const list = async (token: string) => {
      const { objectives } = await client(token).listObjectives({
        pageSize: 1,
        pageToken: '',
        minPosition: '',
      })
      return objectives.map(({ objective }) => objective?.name)
    }
    expect(await list('team-b')).toEqual([])
    expect(await list('team-a')).toEqual(['fast'])
    expect(await list('admin')).toHaveLength(1)
    const objective = own.objective?.objectiveId ?? ''
    const other = client('team-b')
    for (const call of [
      other.getObjective({ objective, minPosition: '' }),
      other.getObjectiveStatus({ objective, minPosition: '' }),
      other.getLedger({ objective, tenant: '', limit: 0 }),
      other.explainObjective({ objective, untilMs: 0n }),
      other.deleteObjective({ requestId: requestId(), objectiveId: objective }),
    ]) {
      await expect(call).rejects.toMatchObject({ reason: 'OBJECTIVE_NOT_FOUND' })
    }
    // Its own ledger of what holds for all is a tenant's to see, and that alone.
    const ledger = await other.getLedger({ objective: 'all', tenant: '', limit: 0 })
    expect(ledger.open).toMatchObject([{ tenant: 'team-b', counts: { good: 0n, bad: 1n } }])
    const foreign = await other.getLedger({ objective: 'all', tenant: 'team-a', limit: 0 })
    expect(foreign.open).toEqual([])
    await client('team-a').deleteObjective({ requestId: requestId(), objectiveId: objective })
    expect(await list('team-a')).toEqual([])
    await time.run(process.stop())
  })

  it('leaves out what cannot be, and tells it', async () => {
    const { client, requestId, serve, time, process, sender, bus } = await running()
    const request = { requestId: requestId(), objective: OBJECTIVE, validateOnly: false }
    await client('team-a').createObjective(request)
    serve(RequestRecord_Outcome.UNSPECIFIED)
    serve(RequestRecord_Outcome.OK, { ttftUs: 2n ** 63n })
    serve(RequestRecord_Outcome.OK, { e2eUs: 2n ** 62n })
    serve(RequestRecord_Outcome.OK, { tenant: 'x'.repeat(1_000) })
    serve(RequestRecord_Outcome.OK)
    sender.add({ $case: 'serviceLoad', value: ServiceLoad.fromPartial({ jobId: 'j', queued: 1 }) })
    await time.advance(3_000)
    const rest = { sentMs: 0n, droppedSamples: 0n, samples: [] }
    bus.publish({ ...rest, source: 'gateway/r1', bootId: 'x'.repeat(999), seq: 1n })
    bus.publish({ ...rest, source: '', bootId: 'b', seq: 1n })
    await time.advance(3_000)
    const { status, sources } = await client('team-a').getObjectiveStatus({
      objective: 'fast',
      minPosition: '',
    })
    expect(status?.counts).toMatchObject({ good: 1n, bad: 0n })
    expect(sources).toMatchObject([{ source: 'gateway/r1', rejectedSamples: 4n, state: 'OK' }])
    // It held a request and says nothing any more.
    await time.advance(25_000)
    const silent = await client('team-a').getObjectiveStatus({ objective: 'fast', minPosition: '' })
    expect(silent.status?.dataState).toBe('SILENT')
    await time.run(process.stop())
  })

  it('writes nothing while there is nothing to tell', async () => {
    const { runtime, client, requestId, serve, time, process } = await running()
    serve(RequestRecord_Outcome.OK)
    await time.advance(120_000)
    const before = runtime.status().position
    serve(RequestRecord_Outcome.OK)
    await time.advance(600_000)
    expect(runtime.status().position).toBe(before)
    const request = { requestId: requestId(), objective: OBJECTIVE, validateOnly: false }
    await client('team-a').createObjective(request)
    serve(RequestRecord_Outcome.OK)
    // What was published is folded within 10 s after it.
    await time.advance(11_000)
    const { position } = runtime.status()
    await time.advance(3_600_000)
    expect(runtime.status().position).toBe(position)
    await time.run(process.stop())
  })
})
