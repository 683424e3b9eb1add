import { Job_State, SubmitJobRequest } from '@serverless-ai/contracts/job/v1/job'
import { ServiceUpdate, ServiceUpdate_State } from '@serverless-ai/contracts/schedule/v1/schedule'
import { uuidV7 } from '@serverless-ai/kernel'
import { beforeEach, expect, test } from 'vitest'
import { MediatorWorld } from '../testing/world.ts'

const manifest = (command: string, more = '') => `apiVersion: serverlessai.job/v1
kind: Job
metadata: {name: server}
spec:
  type: Inference
  queue: vision
  command: [node, ${command}]
  replicas: {min: 0, max: 4}
${more}`

let world: MediatorWorld
let jobId: string
beforeEach(async () => {
  world = new MediatorWorld()
  await world.start()
  const request = { ...SubmitJobRequest.fromPartial({}), manifest: manifest('v1.js') }
  const { job } = await world.run(world.client('a').submitJob(request))
  jobId = job?.jobId ?? ''
})

const requestId = () => uuidV7(world.time.wallMs(), world.ports.randomness.bytes(10))
const update = (more: object, tenant = 'a') => {
  const request = { requestId: requestId(), jobId, manifest: '', fileName: '', toRevision: 0 }
  return world.run(world.client(tenant).updateService({ ...request, ...more }))
}

test('an update is answered with the new revision, and reaches the scheduler', async () => {
  const { job, position } = await update({ manifest: manifest('v2.js') })
  expect(job).toMatchObject({ revision: 2, state: Job_State.QUEUED })
  expect(job?.manifest).toContain('v2.js')
  expect(position).not.toBe('')
  await world.until(() => world.updated.length > 0)
  expect(world.updated).toMatchObject([
    { jobId, number: 1n, revision: 2, drainMs: 10_000n, maxSurge: 1, maxUnavailable: 0 },
  ])
  const now = { number: 1n, revision: 2, fromRevision: 1, state: ServiceUpdate_State.ROLLING }
  await world.tellState(jobId, 'Running', { update: ServiceUpdate.fromPartial(now) })
  await world.until(async () => {
    const read = await world.run(world.client('a').getJob({ jobId, minPosition: '' }))
    return read.job?.update?.state === ServiceUpdate_State.ROLLING
  })
})

test('the same request is carried out once', async () => {
  const id = requestId()
  const again = { requestId: id, manifest: manifest('v2.js') }
  expect((await update(again)).job?.revision).toBe(2)
  expect((await update(again)).job?.revision).toBe(2)
  const other = update({ ...again, manifest: manifest('v3.js') })
  await expect(other).rejects.toMatchObject({ reason: 'REQUEST_ID_REUSED' })
  const back = await update({ toRevision: 1 })
  expect(back.job?.manifest).toContain('v1.js')
  await world.until(() => world.updated.length === 2)
  expect(world.updated.at(-1)).toMatchObject({ number: 2n, revision: 1 })
})

test('what cannot be is refused', async () => {
  await expect(update({})).rejects.toMatchObject({ reason: 'INVALID_SPEC' })
  const both = update({ manifest: manifest('v2.js'), toRevision: 1 })
  await expect(both).rejects.toMatchObject({ reason: 'INVALID_SPEC' })
  const workspace = `  workspace: sha256:${'b'.repeat(64)}\n`
  const foreign = update({ manifest: manifest('v2.js', workspace) })
  await expect(foreign).rejects.toMatchObject({ reason: 'WORKSPACE_NOT_FOUND' })
  const fixed = update({ manifest: manifest('v2.js', '  priority: 3\n') })
  await expect(fixed).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'NOT_UPDATABLE',
    metadata: { fields: 'priority' },
  })
  const stranger = update({ manifest: manifest('v2.js') }, 'b')
  await expect(stranger).rejects.toMatchObject({ reason: 'JOB_NOT_FOUND' })
  const unknown = update({ toRevision: 9 })
  await expect(unknown).rejects.toMatchObject({ reason: 'REVISION_NOT_FOUND' })
})

test('a scale that names no number is refused: it does not end all replicas', async () => {
  const asked = world.client('a').scaleJob({ requestId: requestId(), jobId, automatic: false })
  const refused = { reason: 'SCALE_OUT_OF_RANGE', violations: [{ field: 'wanted' }] }
  await expect(world.run(asked)).rejects.toMatchObject(refused)
})
