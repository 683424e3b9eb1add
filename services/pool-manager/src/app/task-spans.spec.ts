import { memoryTracer, type RecordedSpan } from '@serverless-ai/kernel/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { PoolRig } from '../testing/pool-rig.ts'

let rig: PoolRig | undefined

/** A pool manager with a node, and a job of one rank on it as part of a trace. */
async function started(traced = true) {
  const tracer = memoryTracer()
  rig = new PoolRig(traced ? { tracer } : {})
  await rig.start()
  const agent = rig.connect('n1', 's1')
  await rig.run(agent.desired(0))
  const job = tracer.start('job')
  await tracer.within(job.context, () => rig!.place('j-0-1', 1, ['n1']))
  await tracer.within(job.context, () => rig!.prepare('j-0-1', 1, 1))
  return { rig, agent, tracer, job }
}

afterEach(async () => {
  await rig?.stop()
  rig = undefined
})

const key = { jobId: 'j-0-1', gang: 0, generation: 1, rank: 0 }
const contextOf = (span: RecordedSpan) => `00-${span.traceId}-${span.spanId}-01`

describe('the span of a task', () => {
  it('begins with its assignment, is what the task finds, and ends with the task', async () => {
    const { rig, agent, tracer, job } = await started()
    const set = await rig.run(agent.desired(1))
    const task = tracer.one('task')
    expect(job.context).toContain(task.traceId)
    expect(set.assignments[0]?.env).toMatchObject({ TRACEPARENT: contextOf(task), RANK: '0' })
    expect(task.attributes).toMatchObject({ 'sai.job': 'j-0-1', 'sai.rank': 0, 'sai.node': 'n1' })
    const causes = tracer.spans.filter(({ name }) => name.startsWith('consume '))
    expect(causes.map(({ spanId }) => spanId)).toContain(task.parentId)
    expect(task.ended).toBe(false)
    agent.report(1, [{ key, state: 'EXITED' }])
    await rig.run(agent.next('reportAck'))
    expect(task).toMatchObject({ ended: true, error: '' })
  })

  it('ends when this replica follows it no longer', async () => {
    const { rig, agent, tracer } = await started()
    await rig.run(agent.desired(1))
    await rig.restart(1_000)
    expect(tracer.one('task').ended).toBe(true)
    const again = rig.connect('n1', 's1')
    const { env } = (await rig.run(again.desired(1))).assignments[0] ?? {}
    // A snapshot holds no traces: the task that runs has what it was started with.
    expect(env).toEqual({ WORLD_SIZE: '1', RANK: '0' })
  })

  it('is none without a tracer', async () => {
    const { rig, agent } = await started(false)
    const set = await rig.run(agent.desired(1))
    expect(set.assignments[0]?.env).toEqual({ WORLD_SIZE: '1', RANK: '0' })
  })
})
