import { seededRandomness } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import { scenarioOf } from '../../scenarios/index.ts'
import { scriptOf } from '../nodes/script.ts'
import { jobPlans, queuePlans } from './plans.ts'

const TENANTS = ['team-a', 'team-b']
const scenario = { ...scenarioOf('calm'), jobs: 2_000 }
const queues = queuePlans(scenario, TENANTS)
const plans = jobPlans(scenario, queues, seededRandomness(5))
const jobs = plans.map((plan) => ({ plan, ...JSON.parse(plan.manifest) }))

test('jobs come in order, inside of the busy time', () => {
  const times = plans.map(({ atMs }) => atMs)
  expect(times).toEqual([...times].sort((a, b) => a - b))
  expect(times.at(-1)).toBeLessThan(scenario.busyMs)
})

test('every job is one that a simulated node can run', () => {
  for (const { spec } of jobs) expect(scriptOf(spec.command)?.seconds).toBeGreaterThan(0)
})

test('what can never be placed is refused, or its user gives up', () => {
  const devices = scenario.nodes * scenario.devicesPerNode
  const impossible = jobs.filter(({ spec }) => {
    const queue = queues.find(({ name }) => name === spec.queue)
    const wanted = spec.tasks * spec.resources.devices
    return queue === undefined || wanted > queue.maxDevices || wanted > devices
  })
  expect(impossible.length).toBeGreaterThan(20)
  for (const { spec, plan } of impossible) {
    expect(spec.waitForCapacity && plan.cancelAfterMs === undefined).toBe(false)
  }
})

test('the same seed gives the same jobs', () => {
  expect(jobPlans(scenario, queues, seededRandomness(5))).toEqual(plans)
  expect(jobPlans(scenario, queues, seededRandomness(6))).not.toEqual(plans)
})
