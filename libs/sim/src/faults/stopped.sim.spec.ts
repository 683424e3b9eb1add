import { SERVICE_NAMES } from '@serverless-ai/hosting/process'
import { describe, expect, it } from 'vitest'
import { runSimulation } from '../run.ts'
import { scenarioOf } from '../scenarios/index.ts'

describe('a replica of each service that stops for good', () => {
  // With agents that stay with a replica that has stopped, both end with an alarm.
  it.each([11, 12])('is gone round by agents and users, seed %s', async (seed) => {
    const stopped = new Set<string>()
    const { alarms, faults } = await runSimulation({
      scenario: scenarioOf('stopped'),
      seed,
      onEntry: ({ who, text }) => {
        if (text.startsWith('error: the partition has stopped')) stopped.add(who)
      },
    })
    expect(alarms).toEqual([])
    expect(faults['log-damaged']).toBe(SERVICE_NAMES.length)
    const services = [...stopped].map((name) => name.replace(/-\d+$/, '')).sort()
    expect(services).toEqual(SERVICE_NAMES.toSorted())
  })
})
