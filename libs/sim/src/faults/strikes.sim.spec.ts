import { describe, expect, it } from 'vitest'
import { runSimulation } from '../run.ts'
import { FAULT_KINDS, type FaultKind, scenarioOf } from '../scenarios/index.ts'

/** A small world with one kind of fault, often; stopped in the middle. */
async function hashWith(kind: FaultKind, harmless: boolean): Promise<string> {
  const small = { nodes: 2, devicesPerNode: 2, jobs: 6, busyMs: 60_000, snapshotEveryCommits: 5 }
  const scenario = { ...scenarioOf('calm'), ...small, faults: { [kind]: 2_000 } }
  const { hash, faults } = await runSimulation({ scenario, seed: 7, untilEvent: 4_000, harmless })
  expect(faults[kind]).toBeGreaterThan(0)
  return hash
}

describe('a fault of each kind', () => {
  it.each(FAULT_KINDS)('%s changes what happens', async (kind) => {
    expect(await hashWith(kind, false)).not.toBe(await hashWith(kind, true))
  })
})

const SEEDS = 6

/** Kinds of trouble that worlds with seeds from `first` on had, until there are `enough`. */
async function diskTroublesOf(
  scenario: ReturnType<typeof scenarioOf>,
  first: number,
  enough: number,
): Promise<readonly string[]> {
  const seen = new Set<string>()
  for (let seed = first; seed < first + SEEDS && seen.size < enough; seed += 1) {
    const { alarms, diskTroubles } = await runSimulation({ scenario, seed })
    expect(alarms).toEqual([])
    for (const kind of Object.keys(diskTroubles ?? {})) seen.add(kind)
  }
  return [...seen].sort()
}

describe('the faults of a scenario', () => {
  it('storage reach the snapshots: slow, failing, full and damaged', async () => {
    const scenario = { ...scenarioOf('storage'), jobs: 8, busyMs: 180_000 }
    const kinds = ['shared damaged', 'shared failed', 'shared full', 'shared slow']
    expect(await diskTroublesOf(scenario, 200, kinds.length)).toEqual(kinds)
  })

  it('nodes reach the disks of nodes: slow, failing, full and torn', async () => {
    const scenario = {
      ...scenarioOf('nodes'),
      nodes: 3,
      jobs: 20,
      busyMs: 180_000,
      faults: { 'node-disk': 5_000, 'node-power': 8_000 },
    }
    const kinds = ['own failed', 'own full', 'own slow', 'own torn']
    expect(await diskTroublesOf(scenario, 101, kinds.length)).toEqual(kinds)
  })

  it('away make consumers miss events, and take over the present state', async () => {
    const missed = new Set<string>()
    const { alarms } = await runSimulation({
      scenario: {
        ...scenarioOf('away'),
        jobs: 10,
        busyMs: 200_000,
        faults: { 'service-away': 30_000 },
      },
      seed: 3,
      onEntry: ({ who, text }) => {
        if (text.includes('events of a source were missed')) missed.add(who.replace(/-\d+$/, ''))
      },
    })
    expect(alarms).toEqual([])
    expect(missed.size).toBeGreaterThan(0)
  })
})
