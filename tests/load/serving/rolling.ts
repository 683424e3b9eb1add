import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceUpdate_State } from '@serverless-ai/contracts/schedule/v1/schedule'
import { description } from '../../e2e/servers.ts'
import { requestId } from '../../support/digits.ts'
import { type Answer, openLoopUntil } from '../gateway/open-loop.ts'
import { quantile } from '../report.ts'
import { Edge, isScaled, lossesOf } from './edge.ts'

/** Requests per second. */
export const RATE = 300
const REPLICAS = 3
/** Requests come for so long before something happens. */
const SETTLE_MS = 500

/** What happens to the replicas under load. */
export type Step = 'update' | 'back' | 'drain'

/** What rounds came to. */
export interface Rolled {
  readonly steps: readonly Step[]
  readonly requests: number
  readonly seconds: number
  readonly latencyMsP50: number
  readonly latencyMsP99: number
}

const manifest = (version: string): string =>
  description({
    name: 'echo',
    version,
    concurrency: 32,
    // Long enough for a machine that others use as well: what is cut then was late, not lost.
    drain: '5s',
    stopGracePeriod: '60s',
    replicas: { min: 1, max: REPLICAS + 1, initial: REPLICAS },
  })

/** Requests until the work is over. */
async function underLoad(
  edge: Edge,
  seed: number,
  work: () => Promise<void>,
): Promise<readonly Answer[]> {
  const load = { ...edge.to('echo', '/', { body: 'x'.repeat(200) }), rate: RATE }
  let done = false
  const answers = openLoopUntil(load, { seed, over: () => done })
  try {
    await sleep(SETTLE_MS)
    await work()
  } finally {
    done = true
    await answers
  }
  return answers
}

/** The work of a step, and which versions may answer meanwhile. */
class Rounds {
  readonly #edge: Edge
  readonly #jobId: string
  #version = 'v1'
  #updates = 0

  constructor(edge: Edge, jobId: string) {
    this.#edge = edge
    this.#jobId = jobId
  }

  async run(step: Step, seed: number): Promise<readonly Answer[]> {
    if (step === 'drain') {
      const answers = await underLoad(this.#edge, seed, async () => {
        await this.#edge.scale(this.#jobId, 1)
        await this.#edge.scale(this.#jobId, REPLICAS)
      })
      return this.#right(step, answers, [this.#version])
    }
    const before = this.#version
    const next = step === 'back' ? 'v1' : `v${this.#updates + 2}`
    const answers = await underLoad(this.#edge, seed, () => this.#update(next))
    this.#version = next
    return this.#right(step, answers, [before, next])
  }

  async #update(version: string): Promise<void> {
    this.#updates += 1
    const described = { manifest: manifest(version), fileName: '', toRevision: 0 }
    const request = { requestId: requestId(), jobId: this.#jobId, ...described }
    const { job } = await this.#edge.team.jobs.updateService(request)
    const revision = job?.revision
    await this.#edge.until(
      this.#jobId,
      `revision ${revision} is whole`,
      (now) =>
        now.update?.revision === revision &&
        now.update?.state === ServiceUpdate_State.DONE &&
        isScaled(REPLICAS)(now),
    )
  }

  #right(step: Step, answers: readonly Answer[], versions: readonly string[]) {
    const lost = answers.filter(({ status }) => status !== 200)
    if (lost.length > 0) {
      const told = lossesOf(lost)
      throw new Error(`${step}: ${lost.length} of ${answers.length} requests lost: ${told}`)
    }
    const wrong = answers.find(({ body }) => !versions.includes(body))
    if (wrong !== undefined) throw new Error(`${step}: answered by ${wrong.body.slice(0, 40)}`)
    return answers
  }
}

/** Replicas drain and are updated, forward and back, at 300 requests a second: none is lost. */
export async function runRolling(options: {
  readonly seed: number
  readonly steps: readonly Step[]
  readonly say: (line: string) => void
}): Promise<Rolled> {
  // A machine that others use as well answers late: that is no loss.
  const held = 100_000
  const settings = { heldPerTenant: held, heldPerService: held, callerHeadMs: 120_000 }
  const edge = await Edge.start({
    nodes: 2,
    devicesPerNode: 4,
    leaseMs: 15_000,
    edge: settings,
  })
  try {
    const jobId = await edge.submit(manifest('v1'))
    await edge.scale(jobId, REPLICAS)
    const rounds = new Rounds(edge, jobId)
    const latencies: number[] = []
    const startMs = performance.now()
    for (const [index, step] of options.steps.entries()) {
      const answers = await rounds.run(step, options.seed * 1_009 + index * 97)
      latencies.push(...answers.map(({ latencyMs }) => latencyMs))
      options.say(`${step}: ${answers.length} requests, 0 lost`)
    }
    return {
      steps: options.steps,
      requests: latencies.length,
      seconds: Math.round((performance.now() - startMs) / 1_000),
      latencyMsP50: Number(quantile(latencies, 0.5).toFixed(1)),
      latencyMsP99: Number(quantile(latencies, 0.99).toFixed(1)),
    }
  } finally {
    await edge.close()
  }
}
