import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFunctionCalls, toRequests } from '@serverless-ai/sim/serving'
import { expect, it } from 'vitest'
import { ours } from '../../load/baselines/policies.ts'
import { runPolicy } from '../../load/baselines/rig.ts'
import { ROOT } from '../../support/root.ts'

const SAMPLE = readFileSync(join(ROOT, 'tests/load/baselines/samples/azure-functions.csv'), 'utf8')
const STARTUP_MS = 5_000
const IDLE_MS = 20_000

// Calls of a function every minute to every five; `most` of the time of a replica that stays.
for (const { func, most } of [
  { func: '313c03f5', most: 0.75 },
  { func: 'c9f8e30e', most: 0.4 },
  { func: '9040b71f', most: 0.3 },
  { func: 'e3cdb488', most: 0.2 },
]) {
  it(`scales to zero and back with the calls of function ${func}, and loses none`, () => {
    const calls = readFunctionCalls(SAMPLE, func)
    const requests = toRequests(
      calls.map((at) => ({ arrivalMs: at + 1_000, inputTokens: 256, outputTokens: 1 })),
    )
    const untilMs = calls.at(-1)! + 120_000
    const { attainment, replicaMs, starts, ledger } = runPolicy({
      policy: ours(STARTUP_MS, { idleMs: IDLE_MS }),
      requests,
      startupMs: () => STARTUP_MS,
      initial: 0,
      fromMs: 0,
      untilMs,
      limits: () => ({ floor: 0, ceiling: 4, budget: 4, quota: 4 }),
    })
    expect(attainment.lost).toBe(0)
    expect(starts).toBeGreaterThan(2)
    expect(replicaMs / untilMs).toBeLessThan(most)
    // Held, started for and forwarded: a step, a start-up and the work.
    requests.arrivalMs.forEach((at, call) => {
      expect(ledger.firstMs[call]! - at).toBeLessThan(2_000 + STARTUP_MS + 1_000)
    })
  })
}
