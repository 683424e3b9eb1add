import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readAzureLlm, readMooncake } from '@serverless-ai/sim/serving'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../support/root.ts'
import { type Cell, STATIC_REPLICAS, score } from './cell.ts'
import { fixed, hpa, kpa, ours } from './policies.ts'
import { drawStudy } from './svg.ts'
import { loadSample } from './traces.ts'

const sample = (name: string) =>
  readFileSync(join(ROOT, 'tests/load/baselines/samples', name), 'utf8')

describe('the samples', () => {
  it('are read as the whole traces are', () => {
    expect(loadSample().arrivalMs.length).toBe(1_200)
    const conversation = readAzureLlm(sample('azure-conv.csv'))
    expect(conversation.inputTokens[0]).toBe(374)
    expect(conversation.outputTokens[0]).toBe(44)
    const mooncake = readMooncake(sample('mooncake.jsonl'))
    expect([mooncake.inputTokens[0], mooncake.outputTokens[0]]).toEqual([6_758, 500])
  })
})

describe('a cell', () => {
  const cell: Cell = {
    requests: loadSample(),
    startupMs: 30_000,
    budget: STATIC_REPLICAS,
    fromMs: 0,
    seed: 1,
  }

  it('counts the devices of a fixed fleet to the second', () => {
    const { deviceHours, saving } = score(cell, fixed(STATIC_REPLICAS))
    const hours = (cell.requests.arrivalMs.at(-1)! * 16 * 8) / 3_600_000
    expect(deviceHours).toBeCloseTo(hours, 2)
    expect(saving).toBeCloseTo(0, 9)
  })

  it('lets no policy above the budget, and loses nothing', () => {
    for (const policy of [ours(30_000), kpa(2), hpa('outstanding', 2), hpa('queued', 1)]) {
      const { saving, lost } = score(cell, policy)
      expect(saving).toBeGreaterThanOrEqual(-1e-9)
      expect(lost).toBe(0)
    }
  })

  it('is the same twice', () => {
    expect(score(cell, ours(30_000))).toEqual(score(cell, ours(30_000)))
  })
})

it('the study is drawn: a panel for each cell, a point for each score', () => {
  const requests = loadSample()
  const base = { requests, startupMs: 5_000, budget: STATIC_REPLICAS, fromMs: 0, seed: 1 }
  const whole = score(base, fixed(STATIC_REPLICAS))
  const sweep = [score(base, hpa('outstanding', 2), { name: 'hpa 2' })]
  const goal = {
    applies: false,
    attained: true,
    realised: 1,
    realisedEnough: true,
    overBest: 1,
    nearBest: true,
  }
  const facts = (startupMs: number) => ({
    trace: 'azure-code',
    startupMs,
    oracleSaving: 0,
    static: whole,
    oracle: { ...whole, policy: 'oracle' },
    ours: { ...whole, policy: 'ours' },
    best: {},
    sweep,
    hindsight: null,
    goal,
  })
  const results = [5_000, 30_000].map((startupMs) => ({ ok: true, facts: facts(startupMs) }))
  const svg = drawStudy({ stretches: [{ results }] })
  expect(svg.split('device hours</text>')).toHaveLength(3)
  expect(svg.split('<title>')).toHaveLength(1 + 2 * 4)
  expect(svg).not.toContain('NaN')
})
