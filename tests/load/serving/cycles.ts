import type { Job } from '@serverless-ai/contracts/job/v1/job'
import { Dice } from '../../support/random.ts'
import { arrivals, sendAt } from '../gateway/open-loop.ts'
import { quantile } from '../report.ts'
import { Questions, serveDigits, trainDigits } from './digits.ts'
import { Edge, isScaled, lossesOf } from './edge.ts'

/** Time without a request after which the server goes to zero. */
const IDLE = '1s'
/** A cycle takes so long at most, ms: from its first request to no replica. */
export const CYCLE_MAX_MS = 4_000
/** Part of the cycles that may take longer where others use the machine as well. */
export const LONGER_MAX = 0.05
/** Requests of a cycle, per second, and how long they come, ms. */
const RATE = 20
const BURST_MS = [100, 400] as const
/** Cycles into whose end further requests fall: when the replica is about to go, or goes. */
const LATE_PERCENT = 25
const LATE_AFTER_MS = [700, 1_700] as const
const IMAGES = 40

/** What cycles came to. */
export interface Cycles {
  readonly cycles: number
  readonly requests: number
  readonly lateRequests: number
  /** Cycles without late requests that took longer than {@link CYCLE_MAX_MS}. */
  readonly longerCycles: number
  readonly cycleMsP50: number
  readonly cycleMsMax: number
  readonly firstAnswerMsP50: number
  readonly firstAnswerMsMax: number
}

/** A platform with a digits server that nobody has asked anything for a while. */
async function start(): Promise<{ edge: Edge; questions: Questions; jobId: string }> {
  const edge = await Edge.start({ nodes: 1, devicesPerNode: 2, leaseMs: 15_000 })
  try {
    await trainDigits(edge)
    const jobId = await serveDigits(edge, {
      replicas: { min: 0, max: 2 },
      stopGracePeriod: '1s',
      serve: {
        concurrency: 16,
        drain: '200ms',
        readiness: { httpGet: '/healthz', period: '100ms' },
        scaling: { idle: IDLE },
      },
    })
    await edge.until(jobId, 'the server is ready', ({ scale }) => scale?.ready === 1)
    const questions = await Questions.ask(edge, IMAGES)
    await edge.until(jobId, 'the server is at zero', isAtZero)
    return { edge, questions, jobId }
  } catch (error) {
    await edge.close()
    throw error
  }
}

const isAtZero = (job: Job): boolean => job.scale?.wanted === 0 && isScaled(0)(job)

/** What one cycle does, drawn before it begins. */
interface Plan {
  readonly due: readonly number[]
  readonly late: readonly number[]
}

function planOf(seed: number): Plan {
  const dice = new Dice(seed)
  const durationMs = dice.between(...BURST_MS)
  // The first one comes at once: it is the one that finds nothing.
  const due = [0, ...arrivals(RATE, { seed: seed + 1, durationMs })]
  if (dice.between(1, 100) > LATE_PERCENT) return { due, late: [] }
  const afterMs = durationMs + dice.between(...LATE_AFTER_MS)
  return { due, late: [0, 10, 25].map((ms) => afterMs + ms) }
}

/**
 * From zero to one replica and back, again and again, by the autoscaler alone. Throws when a
 * request is not answered rightly, or a cycle takes too long.
 */
export async function runCycles(options: {
  readonly seed: number
  readonly first: number
  readonly count: number
  readonly say: (line: string) => void
}): Promise<Cycles> {
  const { edge, questions, jobId } = await start()
  const cycleMs: number[] = []
  const firstMs: number[] = []
  let requests = 0
  let lateRequests = 0
  try {
    for (let cycle = 0; cycle < options.count; cycle += 1) {
      const number = options.first + cycle
      const plan = planOf(options.seed * 10_007 + number)
      const startMs = performance.now()
      const due = [...plan.due, ...plan.late]
      const answers = await sendAt(due, (index) => questions.kind(requests + index))
      const wrong = answers.filter((one, at) => !questions.isRight(requests + at, one))
      if (wrong.length > 0) {
        const told = lossesOf(wrong)
        throw new Error(`cycle ${number}: ${wrong.length} of ${due.length} lost: ${told}`)
      }
      await edge.until(jobId, `cycle ${number} is at zero`, isAtZero)
      const tookMs = performance.now() - startMs
      requests += due.length
      lateRequests += plan.late.length
      firstMs.push(answers[0]?.latencyMs ?? 0)
      // One with late requests is meant to last longer.
      if (plan.late.length === 0) cycleMs.push(tookMs)
      if ((cycle + 1) % 10 === 0) options.say(`${cycle + 1} cycles, ${requests} requests, 0 lost`)
    }
  } finally {
    await edge.close()
  }
  const longer = cycleMs.filter((ms) => ms > CYCLE_MAX_MS).length
  if (longer > cycleMs.length * LONGER_MAX) {
    throw new Error(`${longer} of ${cycleMs.length} cycles took longer than ${CYCLE_MAX_MS} ms`)
  }
  return {
    cycles: options.count,
    requests,
    lateRequests,
    longerCycles: longer,
    cycleMsP50: Math.round(quantile(cycleMs, 0.5)),
    cycleMsMax: Math.round(Math.max(...cycleMs)),
    firstAnswerMsP50: Math.round(quantile(firstMs, 0.5)),
    firstAnswerMsMax: Math.round(Math.max(...firstMs)),
  }
}
