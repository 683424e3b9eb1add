import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { jobSpec, placementOf, serviceSpec, viewOf } from '../testing/samples.ts'
import { mediatorDecider } from './decider.ts'
import type { JobSpec } from './job-spec.ts'
import { serverContract } from './launch/server.ts'
import type { MediatorCommand } from './messages.ts'
import type { MediatorState, Placement } from './model.ts'

const at2 = { ...mediatorDecider }
at2.decide = (command, state, context) =>
  mediatorDecider.decide(command, state, { ...context, featureLevel: 2 })

const submit = (asked: JobSpec, tenant = 'a'): MediatorCommand => ({
  type: 'SubmitJob',
  cell: 0,
  tenant,
  submittedBy: `token:${tenant}`,
  requestId: '',
  spec: asked,
  rejection: null,
})
const server = (more: Partial<JobSpec> = {}) =>
  jobSpec({ name: 'server', type: 'Inference', tasks: 1, service: serviceSpec(), ...more })
const placed = (jobId: string, gang: number, generation = 1): MediatorCommand => {
  const more: Partial<Placement> = { gang, nodeOfRank: [0], rank0Ports: [30_000 + gang] }
  return { type: 'PrepareLaunch', placed: { jobId, placement: placementOf(generation, more) } }
}
const seen = (jobId: string, gang: number, news: object, generation = 1): MediatorCommand => ({
  type: 'ObserveReplica',
  seen: { jobId, news: { gang, generation, ...news } },
})
const typesOf = (drafts: Iterable<{ type: string }>) =>
  [...drafts].map(({ type }) => type.split('.').at(-1))

/** A queued service and its id. */
function taken() {
  const given = spec(at2)
  const { jobId } = given.when(submit(server())).the('JobSubmitted')
  given.after({ type: 'SettleEnqueue', jobId, rejection: null })
  const replicas = () => given.state.jobs.get(jobId)?.replicas ?? []
  return { given, jobId, replicas }
}

describe('a service that is submitted', () => {
  it('is refused while a version that does not know it may lead', () => {
    spec(mediatorDecider).when(submit(server())).thenRefused('FEATURE_NOT_ENABLED', { level: 2 })
    const elastic = { minTasks: 1, maxTasks: 4, cooldownMs: 0, noticeMs: 0 }
    const job = submit(jobSpec({ elastic }))
    spec(mediatorDecider).when(job).thenRefused('FEATURE_NOT_ENABLED')
  })

  it('is the only open one of its name in its tenant', () => {
    const { given, jobId } = taken()
    given.when(submit(server())).thenRefused('SERVICE_EXISTS', { jobId })
    given.when(submit(server(), 'b')).thenEvents({ type: 'JobSubmitted' })
    given.after({ type: 'ObserveState', view: viewOf(jobId, { state: 'Cancelled' }) })
    given.when(submit(server())).thenEvents({ type: 'JobSubmitted' })
  })

  it('is given the newest checkpoint of the job it names, as it is at that moment', () => {
    const given = spec(at2)
    const model = { job: 'digits', path: '', step: 0 }
    const wanted = submit(server({ service: serviceSpec({ model }) }))
    given.when(wanted).thenRefused('MODEL_NOT_FOUND', { job: 'digits' })
    for (const step of [40, 80]) {
      const { jobId } = given.when(submit(jobSpec())).the('JobSubmitted')
      const checkpoint = { generation: 1, step, path: `${jobId}/gen-1/step-${step}` }
      given.after({ type: 'ObserveCheckpoint', jobId, checkpoint })
    }
    given
      .when(submit(server({ service: serviceSpec({ model }) }), 'b'))
      .thenRefused('MODEL_NOT_FOUND')
    const { spec: kept, jobId } = given.when(wanted).the('JobSubmitted')
    expect(kept.service?.model).toMatchObject({ job: 'digits', step: 80 })
    const contract = serverContract({ jobId, spec: kept }, placementOf(1, { nodeOfRank: [0] }))
    expect(contract.env).toMatchObject({
      PORT: '30000',
      SAI_SERVICE: 'server',
      SAI_ADDRESS: '127.0.0.1',
      SAI_MODEL_STEP: '80',
      SAI_MODEL_PATH: kept.service?.model?.path,
    })
  })

  it('is declared to others when it was taken, and its end is told', () => {
    const { given, jobId } = taken()
    expect(typesOf(publish({ type: 'JobEnqueued', jobId }, given.state))).toEqual([
      'JobSubmitted',
      'ServiceDeclared',
    ])
    const view = viewOf(jobId, { state: 'Failed' })
    given.after({ type: 'ObserveState', view })
    const told = publish({ type: 'JobStateObserved', view }, given.state)
    expect(typesOf(told)).toEqual(['ServiceEnded'])
  })
})

describe('the replicas of a service', () => {
  it('are launched one by one, and shown as they are', () => {
    const { given, jobId, replicas } = taken()
    given.after(placed(jobId, 1), placed(jobId, 2))
    given.when(placed(jobId, 2)).thenNothing()
    const waits = { ready: false, cause: 'GET /healthz: 503' }
    given.when(seen(jobId, 2, waits)).thenEvents({ type: 'ReplicaObserved' })
    given.when(seen(jobId, 2, waits)).thenNothing()
    given.when(seen(jobId, 2, { ready: true, cause: '' })).thenEvents({ type: 'ReplicaObserved' })
    given.when(seen(jobId, 2, { ready: true })).thenNothing()
    given.when(seen(jobId, 2, { ready: false }, 7)).thenNothing()
    given.after(seen(jobId, 2, { draining: true }))
    expect(replicas()).toMatchObject([
      { placement: { gang: 1 }, ready: false, served: false },
      { placement: { gang: 2 }, ready: true, served: true, draining: true, port: 30_002 },
    ])
    expect(typesOf(snapshotFeed(given.state))).toEqual([
      'JobSubmitted',
      'ServiceDeclared',
      'LaunchPrepared',
      'LaunchPrepared',
    ])
  })

  it('are another generation after a failure, and gone after their release', () => {
    const { given, jobId, replicas } = taken()
    given.after(placed(jobId, 1), placed(jobId, 2), seen(jobId, 1, { ready: true }))
    const release = (gang: number, through: number): MediatorCommand => ({
      type: 'ObserveRelease',
      released: { jobId, gang, through },
    })
    given.after(release(1, 1), placed(jobId, 1, 2))
    given.when(release(1, 1)).thenNothing()
    given.after(release(2, 1))
    expect(replicas()).toMatchObject([{ placement: { gang: 1, generation: 2 }, ready: false }])
  })

  it('are mended after a gap in what the scheduler told', () => {
    const { given, jobId, replicas } = taken()
    given.after(placed(jobId, 1), placed(jobId, 2), placed(jobId, 3))
    const placement = (gang: number, generation: number) => ({
      jobId,
      placement: placementOf(generation, { gang, nodeOfRank: [0] }),
    })
    given.after({
      type: 'ReplaceScheduler',
      views: [viewOf(jobId, { state: 'Running' })],
      // 1 went on, 2 was released and is not freed yet, 3 is unknown, 4 is new.
      placed: [placement(1, 2), placement(2, 1), placement(4, 1)],
      released: [
        { jobId, gang: 1, through: 1 },
        { jobId, gang: 2, through: 1 },
      ],
      replicas: [{ jobId, news: { gang: 1, generation: 2, draining: true } }],
    })
    const known = replicas().map(({ placement: at, draining }) => [
      at.gang,
      at.generation,
      draining,
    ])
    expect(known).toEqual([
      [1, 2, false],
      [4, 1, false],
    ])
  })

  it('survive a snapshot', () => {
    const { given, jobId } = taken()
    given.after(placed(jobId, 1), seen(jobId, 1, { ready: true }))
    const json = JSON.stringify(at2.toJson(given.state))
    const again: MediatorState = at2.fromJson(JSON.parse(json))
    expect(JSON.stringify(at2.toJson(again))).toBe(json)
  })
})
