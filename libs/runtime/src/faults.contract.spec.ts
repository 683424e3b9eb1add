import { describe, expect, it } from 'vitest'
import { CALM, runCampaign, STORMY } from './testing/campaign.ts'

const freshSeed = Number(BigInt(Math.floor(performance.timeOrigin * 1000)) % 2147483647n)

async function repeated(
  name: string,
  options: Omit<Parameters<typeof runCampaign>[0], 'seed'>,
): Promise<{ leaders: number; reloads: number }> {
  let leaders = 0
  let reloads = 0
  for (let i = 0; i < 12; i += 1) {
    const seed = (freshSeed + i * 7919) % 2147483647
    try {
      const outcome = await runCampaign({ ...options, seed })
      leaders += outcome.leaders
      reloads += outcome.reloads
    } catch (error) {
      throw new Error(`${name} with seed ${seed}: ${error}`, { cause: error })
    }
  }
  return { leaders, reloads }
}

describe('the promises hold', () => {
  it('for one process on a log that loses, delays and repeats', async () => {
    const options = { requests: 40, processes: 1, chaos: 0, faults: STORMY }
    // One claim each, and no reader ever loads again: lost, late and repeated records are nothing
    // to worry about.
    expect(await repeated('storm', options)).toEqual({ leaders: 12, reloads: 0 })
  })

  it('for one process that is killed and paused again and again', async () => {
    const options = { requests: 40, processes: 1, chaos: 0.1, faults: STORMY }
    expect((await repeated('kills', options)).leaders).toBeGreaterThan(12)
  })

  it('for three processes that all want to lead', async () => {
    const options = { requests: 40, processes: 3, chaos: 0.05, faults: STORMY }
    expect((await repeated('duels', options)).leaders).toBeGreaterThan(12)
  })

  it('for three replicas that take turns, in a storm and on a perfect log', async () => {
    const options = { requests: 40, processes: 3, chaos: 0.1, replicas: true }
    expect((await repeated('replicas', { ...options, faults: STORMY })).leaders).toBeGreaterThan(12)
    expect((await repeated('replicas', { ...options, faults: CALM })).leaders).toBeGreaterThan(12)
  })

  it('for two processes on a perfect log', async () => {
    const options = { requests: 40, processes: 2, chaos: 0.05, faults: CALM }
    expect((await repeated('calm', options)).leaders).toBeGreaterThan(12)
  })
})
