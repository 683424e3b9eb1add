import { expect, it } from 'vitest'
import { onKafka, patient } from '../support/environment.ts'
import { freshSeed } from '../support/random.ts'
import { runKills } from './kills.ts'
import { nameOfKill, planKills, someMoments } from './plan.ts'

const seed = freshSeed()
const moments = someMoments(seed, 2)
const kills = planKills({ seed, random: 2, moments, severalProcesses: onKafka() })

const names = kills.map(nameOfKill).join('; ')

it(
  `seed ${seed}, killed: ${names}: nothing is lost or runs twice`,
  async () => {
    const result = await runKills({ kills, leaseMs: 15_000, jobs: 6, stepMs: 40 })
    expect(result.breaches).toEqual([])
    expect(result.acknowledged).toBeGreaterThan(5)
  },
  // Longer than its parts wait, so that they say what did not come.
  patient(240_000),
)
