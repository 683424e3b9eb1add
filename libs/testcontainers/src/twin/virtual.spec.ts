import { commandOf, QUIET_SCRIPT } from '@serverless-ai/sim/plane'
import { describe, expect, it } from 'vitest'
import { ServerlessAiTwin } from './twin.ts'

const job = (queue: string, tasks: number, seconds: number): string =>
  JSON.stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: 'long' },
    spec: {
      queue,
      tasks,
      command: commandOf({ ...QUIET_SCRIPT, seconds, checkpointEvery: 60 }),
      resources: { devices: 1, cpu: '100m', memory: '64Mi' },
      retry: { maxRestarts: 3 },
    },
  })

const QUARTER_S = 900

describe('the platform on virtual time', () => {
  it('trains for a quarter of an hour, loses a node, and takes seconds', async () => {
    await using platform = await new ServerlessAiTwin().withNodes(2, { count: 2 }).startVirtual()
    const queue = await platform.createQueue()
    const { jobs } = platform.client()
    const { job: submitted } = await jobs.submit({ manifest: job(queue, 2, QUARTER_S) })
    const { nodes } = await platform.awaitJob(submitted.jobId, 'RUNNING')
    await platform.advanceClock(300_000)
    await platform.failNode(nodes[0] ?? '')
    const done = await platform.awaitJob(submitted.jobId, 'SUCCEEDED', { timeoutMs: 3_600_000 })
    expect(done.generation).toBe(2)
    // From the checkpoint of the fifth minute, not from the beginning.
    expect(platform.nowMs).toBeGreaterThan(QUARTER_S * 1_000)
    expect(platform.nowMs).toBeLessThan((QUARTER_S + 150) * 1_000)
  })

  it('is the same run for the same seed', async () => {
    const run = async (seed: number): Promise<readonly number[]> => {
      const twin = new ServerlessAiTwin().withNodes(1).withSeed(seed)
      await using platform = await twin.startVirtual()
      const queue = await platform.createQueue()
      const { job: submitted } = await platform
        .client()
        .jobs.submit({ manifest: job(queue, 1, 20) })
      const done = await platform.awaitJob(submitted.jobId, 'SUCCEEDED')
      return [platform.nowMs, Number(done.finishedMs)]
    }
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    expect(await run(8)).not.toEqual(first)
  })

  it('is what withClock says, with tokens and services of the same builder', async () => {
    const token = 'a-token-of-the-virtual-suite'
    const twin = new ServerlessAiTwin()
      .withNodes(1)
      .withAuthToken('team-a', token)
      .withServices(['fault-tolerance'])
      .withReplayAlways()
      .withClock('virtual')
    await using platform = await twin.start()
    expect(platform.getToken('team-a')).toBe(token)
    const queue = await platform.createQueue()
    const { jobs } = platform.client()
    const { job: submitted } = await jobs.submit({ manifest: job(queue, 1, 20) })
    await platform.awaitJob(submitted.jobId, 'SUCCEEDED')
    const events = platform.events({ area: 'autoscaler' })[Symbol.asyncIterator]()
    await expect(events.next()).rejects.toThrow('autoscaler was left out')
  })

  it('stands still while nobody waits', async () => {
    await using platform = await new ServerlessAiTwin().withNodes(0).startVirtual()
    const beforeMs = platform.nowMs
    await new Promise((resolve) => setImmediate(resolve))
    expect(platform.nowMs).toBe(beforeMs)
    await platform.advanceClock(600_000)
    expect(platform.nowMs).toBe(beforeMs + 600_000)
  })
})
