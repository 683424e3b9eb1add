import { appendFileSync, chmodSync, readFileSync } from 'node:fs'
import { jobManifest } from '../support/manifest.ts'

/**
 * A small real job: each rank goes through a fixed number of steps of a generator of numbers, and
 * writes a line into a journal that all tasks share; rank 0 saves checkpoints and reports the last
 * number. Whatever interrupts it, the result is the same.
 */
export interface Workload {
  readonly number: number
  readonly tasks: number
  readonly exclusive: boolean
  readonly manifest: string
  /** What an undisturbed run reports. */
  readonly result: number
}

const STEPS = 10
/** Steps of exclusive tasks take so many times longer: they outlive the restart of a supervisor. */
const EXCLUSIVE_SLOWER = 4
const CHECKPOINT_EVERY = 3
const MULTIPLIER = 1_103_515_245n
const INCREMENT = 12_345n
const MODULUS = 2n ** 31n

function resultOf(start: number): number {
  let value = BigInt(start)
  for (let step = 0; step < STEPS; step += 1) value = (value * MULTIPLIER + INCREMENT) % MODULUS
  return Number(value)
}

/** POSIX shell: starting it costs next to nothing, and its `echo >>` is one append. */
function script(init: { number: number; journal: string; stepMs: number; dies: boolean }): string {
  const die = init.dies ? `[ "$SAI_GENERATION" = 1 ] && [ $i = 2 ] && kill -9 $$` : ':'
  return `i=0; x=${init.number}
[ -n "$SAI_RESUME_FROM" ] && read i x < "$SAI_RESUME_FROM"
say() { echo "$SAI_JOB_ID $SAI_GENERATION $RANK $1" >> ${init.journal}; }
say start
while [ $i -lt ${STEPS} ]; do
  sleep ${init.stepMs / 1_000}
  i=$((i + 1)); x=$(((x * ${MULTIPLIER} + ${INCREMENT}) % ${MODULUS}))
  say $i
  ${die}
  if [ "$RANK" = 0 ] && [ $((i % ${CHECKPOINT_EVERY})) = 0 ]; then
    at="$SAI_CHECKPOINT_DIR/gen-$SAI_GENERATION"; mkdir -p "$at"
    echo "$i $x" > "$at/tmp" && mv "$at/tmp" "$at/$i"
    echo '{"kind":"checkpoint","step":'$i',"path":"'"$at/$i"'"}' >> "$SAI_REPORT"
  fi
done
[ "$RANK" != 0 ] || echo '{"kind":"result","value":'$x'}' >> "$SAI_REPORT"`
}

/**
 * The job of a number: every fourth one has two tasks, every fourth another one loses its first
 * generation to a SIGKILL of its own, so that recovery and its timers are met too, and every third
 * one is exclusive.
 */
export function workloadOf(number: number, init: { journal: string; stepMs: number }): Workload {
  const tasks = number % 4 === 0 ? 2 : 1
  const exclusive = number % 3 === 0
  const dies = number % 4 === 1
  const { journal } = init
  const stepMs = init.stepMs * (exclusive ? EXCLUSIVE_SLOWER : 1)
  const manifest = jobManifest(`kill-${number}`, {
    tasks,
    exclusive,
    command: ['sh', '-c', script({ number, journal, stepMs, dies })],
    resources: { devices: 1, cpu: '20m', memory: '16Mi' },
    waitForCapacity: true,
    retry: { maxRestarts: 10, backoff: '200ms' },
  })
  return { number, tasks, exclusive, manifest, result: resultOf(number) }
}

/** Makes the journal; tasks run under other users. */
export function makeJournal(path: string): void {
  appendFileSync(path, '')
  chmodSync(path, 0o666)
}

/** A line of the journal. */
interface Line {
  readonly jobId: string
  readonly generation: number
  readonly rank: number
  /** `start`, or the number of the step. */
  readonly what: string
}

/** Lines in the order they were written: each is one append. */
export function readLines(path: string): readonly Line[] {
  const texts = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  return texts.map((text) => {
    const [jobId = '', generation, rank, what = ''] = text.split(' ')
    return { jobId, generation: Number(generation), rank: Number(rank), what }
  })
}

/**
 * Sentences about executions that were started twice, jobs that never started, and exclusive jobs
 * of which an older generation did something after a newer one had begun.
 */
export function journalBreaches(
  lines: readonly Line[],
  jobs: readonly { readonly jobId: string; readonly exclusive: boolean }[],
): string[] {
  const breaches: string[] = []
  const started = new Set<string>()
  const newest = new Map<string, number>()
  const exclusive = new Set(jobs.filter((job) => job.exclusive).map(({ jobId }) => jobId))
  for (const { jobId, generation, rank, what } of lines) {
    const execution = `${jobId}, generation ${generation}, rank ${rank}`
    if (what === 'start' && started.has(execution)) breaches.push(`started twice: ${execution}`)
    if (what === 'start') started.add(execution)
    const top = newest.get(jobId) ?? 0
    if (generation < top && exclusive.has(jobId)) {
      breaches.push(`exclusive: ${execution} did "${what}" after generation ${top} had begun`)
    }
    newest.set(jobId, Math.max(top, generation))
  }
  for (const { jobId } of jobs) if (!newest.has(jobId)) breaches.push(`${jobId} never started`)
  return breaches
}
