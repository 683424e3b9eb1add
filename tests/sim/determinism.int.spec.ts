import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type RunResult, runMany, runSimulation, scenarioOf } from '@serverless-ai/sim'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/root.ts'

const MAIN = join(ROOT, 'tests/dist/sim/main.js')
const SCENARIOS = ['chaos', 'storage', 'nodes']
const SEED = 4_001

const hashes = (results: readonly RunResult[]): readonly string[] =>
  results.map(({ scenario, seed, hash }) => `${scenario} ${seed} ${hash.slice(0, 16)}`)

const ofProcess = (workers: number): readonly string[] => {
  const flags = ['--scenario', SCENARIOS.join(','), '--seed', `${SEED}`, '--seeds', '3']
  const args = [MAIN, ...flags, '--workers', `${workers}`]
  const text = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const found = text.matchAll(/^ok +(\S+) seed (\d+): .*hash (\w+)/gm)
  return [...found].map(([, scenario, seed, hash]) => `${scenario} ${seed} ${hash}`).sort()
}

describe('a seed', () => {
  it('gives the same happenings in any process, with any number of threads', async () => {
    const three = ofProcess(3)
    expect(three).toHaveLength(3)
    expect(ofProcess(1)).toEqual(three)
  })

  it('gives the same happenings when somebody reads the trace', async () => {
    const [scenario] = SCENARIOS
    let entries = 0
    const read = await runSimulation({
      scenario: scenarioOf(scenario!),
      seed: SEED,
      onEntry: () => {
        entries += 1
      },
    })
    expect(entries).toBeGreaterThan(1_000)
    expect(hashes([read])).toEqual(
      ofProcess(2).filter((line) => line.startsWith(`${scenario} ${SEED} `)),
    )
  })

  it('another one gives others', async () => {
    const results = await runMany({ scenarios: ['calm'], firstSeed: 1, count: 2, workers: 2 })
    expect(new Set(results.map(({ hash }) => hash)).size).toBe(2)
  })
})
