import { SubmitJobRequest } from '@serverless-ai/contracts/job/v1/job'
import { RpcError } from '@serverless-ai/kernel'
import { beforeEach, describe, expect, test } from 'vitest'
import { MediatorWorld } from '../testing/world.ts'

const manifest = (serve: string) => `apiVersion: serverlessai.job/v1
kind: Job
metadata: {name: server}
spec:
  type: Inference
  queue: vision
  command: [node, main.js]
  replicas: {min: 0, max: 4}
  serve: ${serve}
`
const MISTYPED = manifest('{objectives: [fast, fsat]}')

let world: MediatorWorld
beforeEach(async () => {
  world = new MediatorWorld()
  world.objectives = [
    { tenant: 'a', name: 'fast' },
    { tenant: 'b', name: 'of-b' },
    { tenant: '', name: 'of-all' },
  ]
  await world.start()
})

const submit = (text: string, more: Partial<SubmitJobRequest> = {}) => {
  const request = { ...SubmitJobRequest.fromPartial({}), manifest: text, ...more }
  return world.run(world.client('a').submitJob(request))
}
const away = (code: RpcError['code']) => new RpcError({ code, reason: code, message: 'away' })

describe('objectives that a service names', () => {
  test('are those of its tenant, and those that hold for all', async () => {
    const { job } = await submit(manifest('{objectives: [fast, of-all]}'))
    expect(job?.kind).toBe('Inference')
  })

  test.each([
    [MISTYPED, 'fsat'],
    [manifest('{objectives: [of-b]}'), 'of-b'],
  ])('have to be there: %#', async (text, objective) => {
    const refused = {
      code: 'NOT_FOUND',
      reason: 'OBJECTIVE_NOT_FOUND',
      metadata: { objective, known: 'fast, of-all' },
      message:
        `spec.serve.objectives: tenant a has no objective "${objective}"; ` +
        `there are fast, of-all. Declare it first (sai slo create ${objective} …), or leave it out`,
    }
    await expect(submit(text)).rejects.toMatchObject(refused)
    const violations = [
      { field: 'spec.serve.objectives', description: `there is no objective "${objective}"` },
    ]
    await expect(submit(text, { validateOnly: true })).rejects.toMatchObject({
      ...refused,
      violations,
    })
    expect(world.enqueued).toEqual([])
  })

  test('are there once they were declared: what was refused is taken then', async () => {
    await expect(submit(MISTYPED)).rejects.toMatchObject({ reason: 'OBJECTIVE_NOT_FOUND' })
    world.objectives = ['fast', 'fsat'].map((name) => ({ tenant: 'a', name }))
    expect((await submit(MISTYPED)).job?.name).toBe('server')
  })

  test('says so where there is none', async () => {
    world.objectives = []
    await expect(submit(MISTYPED)).rejects.toThrow('has no objective "fast"; there is none.')
  })

  test.each(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED'] as const)(
    'are taken as they are where no monitor can be asked: %s',
    async (code) => {
      world.objectives = away(code)
      expect((await submit(MISTYPED)).job?.name).toBe('server')
    },
  )

  test('are asked for in updates, and not when a former description comes back', async () => {
    const { job } = await submit(manifest('{objectives: [fast]}'))
    const jobId = job?.jobId ?? ''
    const update = (more: { manifest?: string; toRevision?: number }) => {
      const request = { requestId: '', jobId, manifest: '', fileName: '', toRevision: 0, ...more }
      return world.run(world.client('a').updateService(request))
    }
    await expect(update({ manifest: MISTYPED })).rejects.toMatchObject({
      reason: 'OBJECTIVE_NOT_FOUND',
    })
    const other = await update({ manifest: manifest('{objectives: [of-all]}') })
    expect(other.job?.revision).toBe(2)
    world.objectives = []
    expect((await update({ toRevision: 1 })).job?.manifest).toContain('fast')
  })
})

test('the class of requests is one that gateways have', async () => {
  await expect(submit(manifest('{class: vip}'))).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    reason: 'CLASS_UNKNOWN',
    message:
      'spec.serve.class: there is no class "vip" of requests; ' +
      'there are interactive, standard, batch',
  })
  expect((await submit(manifest('{class: batch}'))).job?.name).toBe('server')
})
