import { runControlPlaneAway } from '../../e2e/control-plane-away.ts'
import { NODE_FAULT_CASES, nameOf, runNodeFault } from '../../e2e/node-faults.ts'
import type { Campaign, Case } from './campaign.ts'

/**
 * The default lease, and steps slow enough that a job outlives the loss of a node (1.1 leases + 5
 * s).
 */
const LEASE_MS = 15_000
const STOP_MS = 60_000
const STEP_DELAY_MS = 80
const AWAY_MS = 120_000

function cases(): readonly Case[] {
  const faults = NODE_FAULT_CASES.map((one, index): Case => {
    return {
      name: nameOf(one),
      repro: `npm run campaign -- node-faults --only ${index + 2}`,
      async run() {
        const options = { leaseMs: LEASE_MS, stopMs: STOP_MS, stepDelayMs: STEP_DELAY_MS }
        return { ...(await runNodeFault(one, options)) }
      },
    }
  })
  const away: Case = {
    name: `control plane away for ${AWAY_MS / 1_000} s`,
    repro: 'npm run campaign -- node-faults --only 1',
    run: async () => ({ ...(await runControlPlaneAway({ leaseMs: LEASE_MS, awayMs: AWAY_MS })) }),
  }
  // The longest first.
  return [away, ...faults]
}

/** Real processes on a node that fails, with the default lease. */
export const nodeFaults: Campaign = {
  name: 'node-faults',
  about: 'a node killed, its agent killed, its agent stopped; the control plane away for 120 s',
  // Most of the time passes in waiting for leases.
  parallel: 4,
  settings: () => ({
    leaseMs: LEASE_MS,
    stopMs: STOP_MS,
    stepDelayMs: STEP_DELAY_MS,
    awayMs: AWAY_MS,
  }),
  cases,
}
