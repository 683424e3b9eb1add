import { expect, it } from 'vitest'
import { onKafka } from '../support/environment.ts'
import { NODE_FAULT_CASES, type NodeFaultCase, nameOf, runNodeFault } from './node-faults.ts'

const EMBEDDED = { leaseMs: 2_000, stopMs: 12_000, stepDelayMs: 30 }
// Nine processes and those of the nodes share the cores: a heartbeat, or the start of an agent
// within its lease, may be late.
const ON_KAFKA = { leaseMs: 5_000, stopMs: 20_000, stepDelayMs: 45 }

const optionsOf = (fault: NodeFaultCase['fault']) => {
  if (!onKafka()) return EMBEDDED
  return fault === 'kill-agent' ? { ...ON_KAFKA, leaseMs: 15_000 } : ON_KAFKA
}

/** One case per fault here; `.ci/run` and the campaign take all of them with the default lease. */
function pick(fault: NodeFaultCase['fault']): NodeFaultCase {
  const cases = NODE_FAULT_CASES.filter((one) => one.fault === fault)
  const index = Math.floor(Math.random() * cases.length)
  const one = cases[index]
  if (one === undefined) throw new Error('no case')
  return one
}

for (const fault of ['kill-node', 'kill-agent', 'stop-agent'] as const) {
  const one = pick(fault)
  it.concurrent(`${nameOf(one)}: ends with the parameters of an undisturbed run`, async () => {
    const result = await runNodeFault(one, optionsOf(fault))
    expect(result.breaches).toEqual([])
  })
}
