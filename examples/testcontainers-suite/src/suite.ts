import type { PlatformBuilder, TestPlatform } from '@serverless-ai/testcontainers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** A description, as users write it. JSON is YAML, too. */
function job(init: {
  readonly name: string
  readonly queue: string
  readonly tasks: number
  readonly script: string
}): string {
  const { name, queue, tasks, script } = init
  return JSON.stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      queue,
      tasks,
      command: ['node', '-e', script],
      resources: { devices: 1, cpu: '50m', memory: '64Mi' },
      retry: { maxRestarts: 3 },
    },
  })
}

/** The platform that the suite needs, of any kind: what it does not ask for does not start. */
export const configure = <Builder extends PlatformBuilder<TestPlatform>>(
  builder: Builder,
): Builder =>
  builder
    .withNodes(3, { gpu: 'H100', count: 2 })
    .withConfig({ leaseMs: 2_000 })
    .withServices(['scheduler', 'fault-tolerance'])
    .withTmpfs()

/** Images that are not here yet are pulled. */
const START_TIMEOUT_MS = 600_000

/** Ends well, and says what came of it. */
const QUICK = `
  require('node:fs').appendFileSync(process.env.SAI_REPORT,
    JSON.stringify({ kind: 'result', metrics: { rank: Number(process.env.RANK) } }) + '\\n')
  console.log('rank ' + process.env.RANK + ' of ' + process.env.WORLD_SIZE)`

/** Its first generation never ends by itself; a later one does. */
const UNTIL_RECOVERED = `
  console.log('generation ' + process.env.SAI_GENERATION)
  if (process.env.SAI_GENERATION === '1') setInterval(() => {}, 1000)`

/** What a user of the platform tests about his own jobs; any kind of platform will do. */
export function platformSuite(name: string, start: () => Promise<TestPlatform>): void {
  describe(name, () => {
    let platform: TestPlatform
    beforeAll(async () => {
      platform = await start()
    }, START_TIMEOUT_MS)
    afterAll(() => platform?.[Symbol.asyncDispose]())

    it('runs a job to its end and keeps what it reported and wrote', async () => {
      const queue = await platform.createQueue()
      const { jobs } = platform.client('team-a')
      const manifest = job({ name: 'quick', queue, tasks: 2, script: QUICK })
      const { job: submitted, position } = await jobs.submit({ manifest })
      await platform.awaitPosition(position)
      expect((await jobs.get(submitted.jobId, position)).name).toBe('quick')
      const done = await platform.awaitJob(submitted.jobId, 'SUCCEEDED')
      expect(JSON.parse(done.resultJson)).toMatchObject({ metrics: { rank: 0 } })
      let written = ''
      for await (const { data } of jobs.logs({ jobId: done.jobId, rank: 1 })) written += data
      expect(written).toContain('rank 1 of 2')
    })

    it('carries a job through the loss of a node', async () => {
      const queue = await platform.createQueue()
      const { jobs } = platform.client('team-a')
      const manifest = job({ name: 'survivor', queue, tasks: 2, script: UNTIL_RECOVERED })
      const { job: submitted } = await jobs.submit({ manifest })
      const running = await platform.awaitJob(submitted.jobId, 'RUNNING')
      const [victim = ''] = running.nodes
      await platform.failNode(victim)
      const done = await platform.awaitJob(submitted.jobId, 'SUCCEEDED')
      expect(done.generation).toBeGreaterThan(1)
      const { incidents } = await platform
        .client('admin')
        .incidents.listIncidents({ jobId: done.jobId, pageSize: 10, pageToken: '' })
      expect(incidents).not.toEqual([])
    })

    it('tells everything about a job in public events, once and in order', async () => {
      const queue = await platform.createQueue()
      const { jobs } = platform.client('team-a')
      const manifest = job({ name: 'watched', queue, tasks: 1, script: QUICK })
      const { job: submitted } = await jobs.submit({ manifest })
      const states: string[] = []
      const filter = {
        area: 'scheduler',
        types: ['JobStateChanged'],
        key: submitted.jobId,
      } as const
      for await (const { message } of platform.events(filter)) {
        if (message?.name !== 'JobStateChanged') continue
        states.push(message.value.state)
        if (message.value.state === 'Succeeded') break
      }
      expect(states.at(0)).toBe('Queued')
      expect(states.filter((state) => state === 'Succeeded')).toHaveLength(1)
    })

    it("keeps a tenant's jobs from others", async () => {
      const queue = await platform.createQueue({ tenant: 'team-b' })
      const manifest = job({ name: 'private', queue, tasks: 1, script: QUICK })
      const { job: theirs } = await platform.client('team-b').jobs.submit({ manifest })
      const asked = platform.client('team-a').jobs.get(theirs.jobId)
      await expect(asked).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })
  })
}
