import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { readJournal, uploadDigits } from '../../support/digits.ts'
import { jobManifest } from '../../support/manifest.ts'
import { type Answer, arrivals, sendAt } from '../gateway/open-loop.ts'
import { quantile } from '../report.ts'
import { serveDigits, trainDigits } from './digits.ts'
import { Edge } from './edge.ts'

/** Emulated devices, and the CPU that stands for each: all of them together are one core. */
export const DEVICES = 4
export const DEVICE_CPU_MILLIS = 250
/** Requests that a replica is given at once, and how long it takes for each. */
const CONCURRENCY = 4
const LATENCY_MS = 100
/** A caller is served well within this time, and wants no answer after it. */
export const OBJECTIVE_MS = 1_000
/** Requests a second in a flood: more than two replicas can answer. */
const RATE = 90

/** Floods and the calm between them, s. */
export interface Course {
  readonly calmSeconds: number
  readonly floodSeconds: number
  readonly floods: number
}

/** How devices are divided: by the autoscaler, or so many for training and the rest for serving. */
export type Split = 'elastic' | number

/** What one split came to. */
export interface Goodput {
  readonly split: string
  readonly steps: number
  readonly requests: number
  readonly within: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Changes of the size of the training; each loses no step. */
  readonly changes: number
}

const training = (split: Split, workspace: string, journal: string): string =>
  jobManifest('training', {
    workspace,
    tasks: split === 'elastic' ? DEVICES : split,
    ...(split === 'elastic' && {
      elastic: { minTasks: 1, maxTasks: DEVICES, cooldown: '2s', notice: '20s' },
    }),
    command: [
      ...['node', 'dist/main.js', '--checkpoint-every', '0', '--epochs', '10000'],
      ...['--batch', '512', '--hidden', '512'],
    ],
    env: { DIGITS_JOURNAL: journal },
    resources: { devices: 1, cpu: '250m', memory: '128Mi' },
  })

function serving(edge: Edge, split: Split): Promise<string> {
  const replicas =
    split === 'elastic'
      ? { min: 0, max: DEVICES - 1, initial: 0 }
      : { min: DEVICES - split, max: DEVICES - split }
  return serveDigits(edge, {
    command: ['node', 'dist/main.js', '--latency-ms', String(LATENCY_MS)],
    replicas,
    serve: {
      concurrency: CONCURRENCY,
      drain: '500ms',
      readiness: { httpGet: '/healthz', period: '200ms' },
      scaling: { idle: '3s' },
    },
    resources: { devices: 1, cpu: '250m', memory: '128Mi' },
  })
}

/** When requests come, ms: nothing in the calm, a Poisson process in each flood. */
function dueTimes(course: Course, seed: number): readonly number[] {
  const { calmSeconds, floodSeconds, floods } = course
  return Array.from({ length: floods }, (_, flood) => {
    const fromMs = (calmSeconds + flood * (floodSeconds + calmSeconds)) * 1_000
    const about = { seed: seed * 100 + flood, durationMs: floodSeconds * 1_000 }
    return arrivals(RATE, about).map((ms) => fromMs + ms)
  }).flat()
}

export const secondsOf = ({ calmSeconds, floodSeconds, floods }: Course): number =>
  calmSeconds + floods * (calmSeconds + floodSeconds)

const BODY = JSON.stringify({ pixels: Array.from({ length: 64 }, () => 8) })

async function asked(edge: Edge, course: Course, seed: number): Promise<readonly Answer[]> {
  const headers = { ...edge.headers(), 'x-sai-timeout-ms': String(OBJECTIVE_MS) }
  const kind = edge.to('digits-server', '/predict', { body: BODY, headers })
  const overMs = performance.now() + secondsOf(course) * 1_000
  const answers = await sendAt(dueTimes(course, seed), () => kind)
  const leftMs = overMs - performance.now()
  if (leftMs > 0) await sleep(leftMs)
  return answers
}

/** Steps of the journal; throws unless each was done once and in order. */
function stepsOf(journal: string): { readonly steps: number; readonly generations: number } {
  const lines = readJournal(journal).filter(({ rank }) => rank === 0)
  const wrong = lines.findIndex(({ step }, index) => step !== index + 1)
  if (wrong >= 0) throw new Error(`step ${wrong + 1} was done as ${lines[wrong]?.step}`)
  return { steps: lines.length, generations: new Set(lines.map((one) => one.generation)).size }
}

/** Trains and serves on the same devices through a course of floods. */
export async function runSplit(init: {
  readonly split: Split
  readonly course: Course
  readonly seed: number
}): Promise<Goodput> {
  const { split, course, seed } = init
  const edge = await Edge.start({
    nodes: 2,
    devicesPerNode: DEVICES / 2,
    leaseMs: 15_000,
    args: [
      ...['--device-cpu-millis', String(DEVICE_CPU_MILLIS)],
      ...['--scaling.step-ms', '500', '--scaling.give-back-after-ms', '2000'],
    ],
  })
  try {
    await trainDigits(edge)
    const directory = join(edge.platform.dataDir, 'journal')
    mkdirSync(directory)
    // Tasks run as a user of their own.
    chmodSync(directory, 0o777)
    const journal = join(directory, 'journal.jsonl')
    if (split !== DEVICES) {
      const jobId = await serving(edge, split)
      if (split !== 'elastic') {
        const ready = ({ scale }: Job) => scale?.ready === DEVICES - split
        await edge.until(jobId, 'its replicas are ready', ready)
      }
    }
    if (split !== 0) {
      const workspace = await uploadDigits(edge.team)
      const jobId = await edge.submit(training(split, workspace, journal))
      const trains = ({ state, progress }: Job) =>
        state === Job_State.RUNNING && (progress?.step ?? 0n) > 0n
      await edge.until(jobId, 'it trains', trains)
    }
    const before = stepsOf(journal)
    const answers = await asked(edge, course, seed)
    const after = stepsOf(journal)
    const good = answers.filter(({ status }) => status === 200)
    const times = good.map(({ latencyMs }) => latencyMs)
    return {
      split: split === 'elastic' ? split : `${split} train, ${DEVICES - split} serve`,
      steps: after.steps - before.steps,
      requests: answers.length,
      within: times.filter((ms) => ms <= OBJECTIVE_MS).length,
      failed: answers.length - good.length,
      p50Ms: times.length === 0 ? 0 : Math.round(quantile(times, 0.5)),
      p99Ms: times.length === 0 ? 0 : Math.round(quantile(times, 0.99)),
      changes: after.generations - before.generations,
    }
  } finally {
    await edge.close()
  }
}
