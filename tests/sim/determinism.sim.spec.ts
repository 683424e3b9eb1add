import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { runSimulation, scenarioOf } from '@serverless-ai/sim'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../support/root.ts'

const MAIN = join(ROOT, 'tests/dist/sim/main.js')
const SEED = 4_001

/** Lines `scenario seed hash` of a process that simulates two worlds. */
function ofProcess(workers: number): readonly string[] {
  const flags = ['--scenario', 'chaos,storage', '--seed', `${SEED}`, '--seeds', '2']
  const args = [MAIN, ...flags, '--workers', `${workers}`]
  const text = execFileSync(process.execPath, args, { encoding: 'utf8' })
  const found = text.matchAll(/^ok +(\S+) seed (\d+): .*hash (\w+)/gm)
  return [...found].map(([, scenario, seed, hash]) => `${scenario} ${seed} ${hash}`).sort()
}

describe('a seed', () => {
  let known: readonly string[] = []
  beforeAll(() => {
    known = ofProcess(2)
  })

  it('gives the same happenings in any process, with any number of threads', () => {
    expect(known).toHaveLength(2)
    expect(ofProcess(1)).toEqual(known)
  })

  it('gives the same happenings when somebody reads the trace', async () => {
    let entries = 0
    const { scenario, seed, hash } = await runSimulation({
      scenario: scenarioOf('chaos'),
      seed: SEED,
      onEntry: () => {
        entries += 1
      },
    })
    expect(entries).toBeGreaterThan(1_000)
    expect(known).toContain(`${scenario} ${seed} ${hash.slice(0, 16)}`)
  })

  it('another one gives others', async () => {
    const init = { scenario: scenarioOf('takeover'), untilEvent: 5_000 }
    const one = await runSimulation({ ...init, seed: 1 })
    const other = await runSimulation({ ...init, seed: 2 })
    const again = await runSimulation({ ...init, seed: 1 })
    expect(one.hash).not.toBe(other.hash)
    expect(one.hash).toBe(again.hash)
  })
})
