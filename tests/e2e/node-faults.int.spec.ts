import { expect, it } from 'vitest'
import { onKafka } from '../support/environment.ts'
import { NODE_FAULT_CASES, type NodeFaultCase, nameOf, runNodeFault } from './node-faults.ts'

// Nine processes and as many of the nodes share the cores: a heartbeat may be late for a moment.
const OPTIONS = onKafka()
  ? { leaseMs: 5_000, stopMs: 20_000, stepDelayMs: 45 }
  : { leaseMs: 2_000, stopMs: 12_000, stepDelayMs: 30 }

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
    const result = await runNodeFault(one, OPTIONS)
    expect(result.breaches).toEqual([])
  })
}
