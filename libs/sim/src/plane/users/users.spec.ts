import { expect, test } from 'vitest'
import type { Observation } from '../../check/types.ts'
import { scenarioOf } from '../../scenarios/index.ts'
import { createWorld } from '../../world/index.ts'
import { ControlPlane } from '../control-plane.ts'
import { createNodes } from '../nodes/index.ts'
import { createUsers } from './index.ts'

const scenario = { ...scenarioOf('calm'), nodes: 2, jobs: 12, busyMs: 60_000 }

async function run(seed: number) {
  const world = createWorld({ seed })
  const seen: Observation[] = []
  const observe = (observation: Observation): unknown => seen.push(observation)
  const plane = new ControlPlane({ world, scenario, observe })
  const nodes = createNodes({ world, scenario, plane, observe })
  const users = createUsers({ world, scenario, plane, random: world.random.fork(), observe })
  plane.start()
  for (const { supervisor } of nodes) supervisor.start()
  users.start()
  await world.time.runUntil(2_000)
  const openAtFirst = users.open().length
  await world.time.runUntil(1_800_000, () => users.open().length === 0)
  return { seen, users, openAtFirst, nodes }
}

test('users get what they ask for, and their jobs end', async () => {
  const { seen, users, openAtFirst, nodes } = await run(3)
  expect(openAtFirst).toBeGreaterThanOrEqual(scenario.jobs)
  expect(users.open()).toEqual([])
  const answers = seen.flatMap((each) => (each.kind === 'answered' ? [each] : []))
  // Each queue, another one of its name, and both again.
  const queues = answers.filter(({ call }) => call === 'queue')
  expect(new Set(queues.map(({ jobId }) => jobId)).size).toBe(9)
  expect(new Set(queues.map(({ ok, reason }) => `${ok} ${reason}`))).toEqual(
    new Set(['true ', 'false QUEUE_EXISTS']),
  )
  const submissions = answers.filter(({ call }) => call === 'submit')
  const requests = new Map(submissions.map((each) => [each.requestId, each]))
  expect(requests.size).toBeGreaterThan(scenario.jobs)
  const refusals = new Set(submissions.filter(({ ok }) => !ok).map(({ reason }) => reason))
  expect([...refusals]).toEqual(
    expect.arrayContaining(['UNKNOWN_QUEUE', 'EXCEEDS_QUEUE_MAX', 'INVALID_SPEC']),
  )
  const reused = answers.filter(({ call }) => call === 'reuse')
  expect(reused.length).toBeGreaterThan(0)
  expect(new Set(reused.map(({ reason }) => reason))).toEqual(new Set(['REQUEST_ID_REUSED']))
  // Repeated requests among them: each with the answer of the first.
  expect(submissions.length).toBeGreaterThan(requests.size)
  for (const { requestId, jobId } of submissions) {
    expect(requests.get(requestId)?.jobId).toBe(jobId)
  }
  const started = new Set(
    seen.flatMap((each) => (each.kind === 'task-started' ? [each.key.jobId] : [])),
  )
  for (const jobId of started) expect(submissions.some((each) => each.jobId === jobId)).toBe(true)
  expect(started.size).toBeGreaterThan(scenario.jobs / 2)
  const reads = seen.flatMap((each) => (each.kind === 'read' ? [each] : []))
  expect(reads.some(({ minPosition, found }) => minPosition !== '' && found)).toBe(true)
  expect(nodes.map((node) => node.running())).toEqual([0, 0])
})
