import { expect, it } from 'vitest'
import { NODE_FAULT_CASES, type NodeFaultCase, nameOf, runNodeFault } from './node-faults.ts'

const OPTIONS = { leaseMs: 2_000, stopMs: 12_000, stepDelayMs: 30 }

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
