import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Job } from '@serverless-ai/contracts/job/v1/job'
import { ServiceUpdate_State } from '@serverless-ai/contracts/schedule/v1/schedule'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requestId, submit, untilJob } from '../support/digits.ts'
import { GatewayProcess } from '../support/gateway.ts'
import { Platform } from '../support/platform.ts'
import { prepareQueue } from './node-faults.ts'
import { description, type Server } from './servers.ts'

let platform: Platform
let gateway: GatewayProcess
let jobId: string

beforeAll(async () => {
  platform = await Platform.start({ nodes: 1, devicesPerNode: 4 })
  await prepareQueue(platform)
  gateway = await GatewayProcess.start(platform)
  const team = platform.as('team-a')
  jobId = await submit(team, manifest({ version: 'one' }))
  // By a user's word: nobody else scales it.
  await team.jobs.scaleJob({ requestId: requestId(), jobId, wanted: 2, automatic: false })
  await reached('two replicas', ({ scale }) => scale?.ready === 2)
}, 200_000)
afterAll(async () => {
  await gateway.stop()
  await platform.close()
})

const manifest = (server: Server) =>
  description({ name: 'echo', replicas: { min: 0, max: 3, initial: 2 }, ...server })
const reached = (what: string, test: (job: Job) => boolean) =>
  untilJob(platform.as('team-a'), jobId, what, test, 90_000)
const update = async (server: Server | number) => {
  const described =
    typeof server === 'number'
      ? { manifest: '', toRevision: server }
      : { manifest: manifest(server), toRevision: 0 }
  const request = { requestId: requestId(), jobId, fileName: '', ...described }
  const { job } = await platform.as('team-a').jobs.updateService(request)
  return job?.revision
}
const over = (revision: number) =>
  reached(
    `revision ${revision} is whole`,
    ({ update: told, scale }) =>
      told?.revision === revision &&
      told.state === ServiceUpdate_State.DONE &&
      scale?.draining === 0,
  )

const ask = async () => {
  const tokens = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
  const headers = { authorization: `Bearer ${tokens.tenants['team-a']}` }
  const url = `${gateway.url}/services/team-a/echo/`
  const answer = await fetch(url, { method: 'POST', body: 'x', headers })
  return { status: answer.status, text: await answer.text() }
}

/** Requests of four callers while something happens: which versions answered, and how. */
async function underLoad(work: () => Promise<unknown>) {
  const seen = new Map<string, number>()
  const statuses = new Set<number>()
  let stop = false
  const callers = Array.from({ length: 4 }, async () => {
    while (!stop) {
      const { status, text } = await ask()
      statuses.add(status)
      seen.set(text, (seen.get(text) ?? 0) + 1)
    }
  })
  try {
    await work()
  } finally {
    stop = true
    await Promise.all(callers)
  }
  return { seen, statuses }
}

describe('an update of an Inference job', () => {
  it('replaces its replicas under load, and loses no request', async () => {
    const { seen, statuses } = await underLoad(async () => {
      expect(await update({ version: 'two' })).toBe(2)
      await over(2)
    })
    expect([...statuses]).toEqual([200])
    expect([...seen.keys()].sort()).toEqual(['one', 'two'])
    expect((await ask()).text).toBe('two')
    const { replicas } = await reached('all of it', ({ replicas: all }) => all.length === 2)
    expect(replicas.map(({ revision }) => revision)).toEqual([2, 2])
  }, 180_000)

  it('stops at a version that does not become ready, and the old one goes on', async () => {
    const { seen, statuses } = await underLoad(async () => {
      await update({ version: 'three', neverReady: true, startupDeadline: '3s' })
      const job = await reached(
        'the update has stalled',
        ({ update: told }) => told?.state === ServiceUpdate_State.STALLED,
      )
      expect(job.update).toMatchObject({ code: 'UPDATE_STALLED', revision: 3, fromRevision: 2 })
      expect(job.message).toContain('UPDATE_STALLED: replica')
      await reached('it is gone', ({ scale }) => scale?.ready === 2 && scale.granted === 2)
    })
    expect([...statuses]).toEqual([200])
    expect([...seen.keys()]).toEqual(['two'])
  }, 180_000)

  it('goes back to a former revision', async () => {
    const { seen, statuses } = await underLoad(async () => {
      expect(await update(1)).toBe(1)
      await over(1)
    })
    expect([...statuses]).toEqual([200])
    expect(seen.has('three')).toBe(false)
    expect((await ask()).text).toBe('one')
    // The same words are the same revision.
    expect(await update({ version: 'two' })).toBe(2)
    await over(2)
  }, 180_000)
})
