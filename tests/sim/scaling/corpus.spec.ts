import { describe, expect, it } from 'vitest'
import { BASELINES, CORPUS, oursFor } from './corpus.ts'
import { runScenario } from './world.ts'

/** Scenarios that each baseline fails; a change of a number here is a change of the model. */
const FAILED_BY: Readonly<Record<string, readonly string[]>> = {
  kpa: [
    'no more replicas than devices',
    'a batch of events does not take the cluster',
    'the survivor has to bear it',
    'a shorter queue is no reason to leave',
    'a gauge that never reaches zero',
    'a load of long prompts is a load',
    'a gauge that jumps is no traffic',
    'an open connection is no request',
    'a smaller budget is kept at once',
  ],
  hpa: [
    'no more replicas than devices',
    'zero stays zero',
    'a gauge that never reaches zero',
    'a load of long prompts is a load',
    'a gauge that jumps is no traffic',
    'a service without traffic goes to zero',
    'an open connection is no request',
    'a smaller budget is kept at once',
    'what starts for a request is not taken away from it',
    'a long request is not cut',
    'a request that comes as the last replica goes',
    'two writers of one number',
  ],
}

describe('public failures of autoscalers', () => {
  for (const scenario of CORPUS) {
    it(`${scenario.kind}: ${scenario.name} (${scenario.source})`, () => {
      expect(scenario.judge(runScenario(scenario, oursFor(scenario)))).toBeUndefined()
    })
  }

  it('says that an objective is out of reach', () => {
    const scenario = CORPUS.find(({ name }) => name === 'an objective out of reach is not chased')!
    const { moments } = runScenario(scenario, oursFor(scenario))
    const codes = moments.at(-1)!.decision.notes.map(({ code }) => code)
    expect(codes).toContain('OBJECTIVE_UNREACHABLE')
  })

  for (const policy of BASELINES) {
    it(`are scored for ${policy.name}`, () => {
      const failed = CORPUS.filter((one) => one.judge(runScenario(one, policy)) !== undefined)
      expect(failed.map(({ name }) => name)).toEqual(FAILED_BY[policy.name])
    })
  }
})
