import { LaunchPrepared, ServiceDeclared } from '@serverless-ai/contracts/events/v1/mediator'
import { spec } from '@serverless-ai/testing'
import { describe, expect, it } from 'vitest'
import { jobToProto } from '../adapters/job.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { jobSpec, placementOf, serviceSpec, viewOf } from '../testing/samples.ts'
import { mediatorDecider } from './decider.ts'
import type { JobSpec, ServiceSpec } from './job-spec.ts'
import type { MediatorCommand, MediatorEvent } from './messages.ts'
import { type MediatorState, REVISIONS_KEPT, type Update } from './model.ts'
import { workspacesOf } from './revisions.ts'

const at2 = { ...mediatorDecider }
at2.decide = (command, state, context) =>
  mediatorDecider.decide(command, state, { ...context, featureLevel: 2 })

const described = (more: Partial<JobSpec> = {}, serve: Partial<ServiceSpec> = {}): JobSpec =>
  jobSpec({ name: 'server', type: 'Inference', tasks: 1, service: serviceSpec(serve), ...more })
const submit = (asked: JobSpec): MediatorCommand => ({
  type: 'SubmitJob',
  cell: 0,
  tenant: 'a',
  submittedBy: 'token:a',
  requestId: '',
  spec: asked,
  rejection: null,
})

/** A queued service and its id. */
function taken(asked = described()) {
  const given = spec(at2)
  const { jobId } = given.when(submit(asked)).the('JobSubmitted')
  given.after({ type: 'SettleEnqueue', jobId, rejection: null })
  const update = (to: JobSpec | number, tenant = 'a'): MediatorCommand => ({
    type: 'UpdateService',
    jobId,
    tenant,
    by: 'token:a',
    ...(typeof to === 'number' ? { spec: null, toRevision: to } : { spec: to, toRevision: 0 }),
  })
  const job = () => given.state.jobs.get(jobId)!
  return { given, jobId, update, job }
}
const placed = (jobId: string, gang: number, revision?: number): MediatorCommand => {
  const of = revision === undefined ? {} : { revision }
  const placement = placementOf(1, { gang, nodeOfRank: [0], rank0Ports: [30_000 + gang], ...of })
  return { type: 'PrepareLaunch', placed: { jobId, placement } }
}
const told = (state: Update['state'], more: Partial<Update> = {}): Update => ({
  number: 1,
  revision: 2,
  fromRevision: 1,
  state,
  updated: 0,
  outdated: 1,
  cause: '',
  code: '',
  startedMs: 1,
  changedMs: 1,
  ...more,
})
/** The contract that a placement leads to. */
function launched(state: MediatorState, event: MediatorEvent): LaunchPrepared {
  const [draft] = publish(event, state)
  return LaunchPrepared.decode(draft!.payload)
}

describe('another description of a service', () => {
  it('is a revision of its own, and the scheduler is told', () => {
    const { given, jobId, update, job } = taken()
    const next = described({ command: ['node', 'v2.js'] }, { drainMs: 9_000 })
    const outcome = given.when(update(next))
    const event = outcome.the('ServiceUpdated')
    expect(event).toMatchObject({ number: 1, revision: 2, spec: { command: ['node', 'v2.js'] } })
    expect(outcome.accepted[0]?.effects).toEqual([
      {
        key: `update:${jobId}:1`,
        kind: 'update',
        payload: {
          jobId,
          number: 1,
          revision: 2,
          by: 'token:a',
          drainMs: 9_000,
          maxSurge: 1,
          maxUnavailable: 0,
          startupDeadlineMs: 60_000,
        },
      },
    ])
    expect(jobToProto(job(), { manifest: true })).toMatchObject({ revision: 2 })
    const [draft] = publish(event, given.state)
    expect(ServiceDeclared.decode(draft!.payload).drainMs).toBe(9_000n)
    const settled = given.when({ type: 'SettleUpdate', jobId, number: 1, rejection: null })
    expect(settled.accepted[0]?.settles).toEqual([`update:${jobId}:1`])
  })

  it('is launched for the replicas that are of it alone, also by a snapshot', () => {
    const { given, jobId, update } = taken(described({ command: ['node', 'v1.js'] }))
    given.after(placed(jobId, 1), update(described({ command: ['node', 'v2.js'] })))
    const fresh = given.when(placed(jobId, 2, 2)).the('LaunchPrepared')
    expect(launched(given.state, fresh)).toMatchObject({
      command: ['node', 'v2.js'],
      revision: 2,
    })
    // An old one that failed goes on as what it was.
    const again = placementOf(2, { gang: 1, nodeOfRank: [0], rank0Ports: [30_001] })
    const old = given
      .when({ type: 'PrepareLaunch', placed: { jobId, placement: again } })
      .the('LaunchPrepared')
    expect(launched(given.state, old).command).toEqual(['node', 'v1.js'])
    const drafts = [...snapshotFeed(given.state)].filter(({ type }) => /LaunchPrepared$/.test(type))
    const commands = drafts.map(({ payload }) => LaunchPrepared.decode(payload).command[1])
    expect(commands).toEqual(['v1.js', 'v2.js'])
  })

  it('is the former revision when it says the same, by its words or by its number', () => {
    const { given, update, job } = taken(described({ env: { A: '1' } }))
    given.after(update(described({ env: { A: '2' } })))
    given.when(update(described({ env: { A: '2' } }))).thenNothing()
    const back = given.when(update(described({ env: { A: '1' } }))).the('ServiceUpdated')
    expect(back).toMatchObject({ number: 2, revision: 1 })
    expect(back).not.toHaveProperty('spec')
    expect(job().spec.env).toEqual({ A: '1' })
    expect(given.when(update(2)).the('ServiceUpdated')).toMatchObject({ number: 3, revision: 2 })
    given.when(update(7)).thenRefused('REVISION_NOT_FOUND', { revision: 7, kept: '1, 2' })
  })

  it('is tried again when it has stalled', () => {
    const { given, jobId, update } = taken()
    given.after(update(described({ env: { A: '2' } })))
    const stalled = told('Stalled', { code: 'UPDATE_STALLED', cause: 'not ready' })
    given
      .when({ type: 'ObserveState', view: viewOf(jobId, { update: stalled }) })
      .thenEvents({ type: 'JobStateObserved' })
    given.when({ type: 'ObserveState', view: viewOf(jobId, { update: stalled }) }).thenNothing()
    const again = given.when(update(described({ env: { A: '2' } }))).the('ServiceUpdated')
    expect(again).toMatchObject({ number: 2, revision: 2 })
  })

  it('takes the newest checkpoint of its model', () => {
    const given = spec(at2)
    const { jobId: digits } = given.when(submit(jobSpec())).the('JobSubmitted')
    const model = { job: 'digits', path: '', step: 0 }
    const checkpoint = (step: number): MediatorCommand => ({
      type: 'ObserveCheckpoint',
      jobId: digits,
      checkpoint: { generation: 1, step, path: `step-${step}` },
    })
    given.after(checkpoint(40))
    const { jobId } = given.when(submit(described({}, { model }))).the('JobSubmitted')
    given.after({ type: 'SettleEnqueue', jobId, rejection: null })
    const again: MediatorCommand = {
      type: 'UpdateService',
      jobId,
      tenant: 'a',
      by: 'token:a',
      spec: described({}, { model }),
      toRevision: 0,
    }
    given.when(again).thenNothing()
    given.after(checkpoint(80))
    const event = given.when(again).the('ServiceUpdated')
    expect(event.spec?.service?.model).toMatchObject({ path: 'step-80', step: 80 })
  })

  it('changes nothing that belongs to the job as a whole', () => {
    const { given, jobId, update } = taken()
    const refused = (asked: JobSpec, fields: string) =>
      given.when(update(asked)).thenRefused('NOT_UPDATABLE', { fields })
    refused(described({ name: 'other', priority: 3 }), 'name, priority')
    refused(described({ tasks: 2 }), 'tasks')
    refused(described({}, { protocol: 'grpc' }), 'serve.protocol')
    refused(described({}, { replicas: { min: 1, max: 9, initial: 1 } }), 'replicas')
    given.when(update(described(), 'b')).thenRefused('JOB_NOT_FOUND')
    given.after({ type: 'CancelJob', jobId, tenant: '', by: 'admin' })
    given.when(update(described({ env: { A: '2' } }))).thenRefused('JOB_FINISHED')
    const training = spec(at2)
    const { jobId: other } = training.when(submit(jobSpec())).the('JobSubmitted')
    const asked = { ...update(described()), jobId: other } as MediatorCommand
    training.when(asked).thenRefused('NOT_UPDATABLE', { fields: 'type' })
  })

  it('is told to the scheduler when that has the job', () => {
    const given = spec(at2)
    const { jobId } = given.when(submit(described())).the('JobSubmitted')
    const base = { type: 'UpdateService', jobId, tenant: '', by: 'admin', toRevision: 0 } as const
    const early = given.when({ ...base, spec: described({ env: { A: '2' } }) })
    early.thenEvents({ type: 'ServiceUpdated', number: 1 })
    expect(early.accepted[0]?.effects).toEqual([])
    const outcome = given.when({ type: 'SettleEnqueue', jobId, rejection: null })
    expect(outcome.accepted[0]?.effects).toMatchObject([
      { key: `update:${jobId}:1`, kind: 'update', payload: { revision: 2, number: 1 } },
    ])
  })

  it('that the scheduler refuses is told in the story', () => {
    const { given, jobId, update, job } = taken()
    given.after(update(described({ env: { A: '2' } })))
    const rejection = { code: 'NOT_FOUND', reason: 'JOB_NOT_FOUND', message: '', metadata: {} }
    given
      .when({ type: 'SettleUpdate', jobId, number: 1, rejection })
      .thenEvents({ type: 'UpdateRefused', number: 1 })
    expect(job().story.at(-1)).toMatchObject({ code: 'UPDATE_REFUSED' })
  })
})

describe('the revisions of a service', () => {
  it('are kept while they are new or in use', () => {
    const { given, jobId, update, job } = taken(described({ workspace: 'w1' }))
    given.after(placed(jobId, 1))
    const last = REVISIONS_KEPT + 5
    for (let n = 2; n <= last; n += 1) given.after(update(described({ workspace: `w${n}` })))
    const kept = (job().revisions ?? []).map(({ revision }) => revision)
    expect(kept).toHaveLength(REVISIONS_KEPT)
    expect(kept[0]).toBe(1)
    expect(kept.at(-1)).toBe(last)
    expect(workspacesOf(job())).toContain('w1')
    expect(workspacesOf(job())).not.toContain('w2')
  })

  it('survive a snapshot', () => {
    const { given, jobId, update } = taken()
    given.after(update(described({ env: { A: '2' } })), placed(jobId, 1, 2))
    given.after({ type: 'ObserveState', view: viewOf(jobId, { update: told('Rolling') }) })
    const json = JSON.stringify(at2.toJson(given.state))
    expect(JSON.stringify(at2.toJson(at2.fromJson(JSON.parse(json))))).toBe(json)
  })
})
