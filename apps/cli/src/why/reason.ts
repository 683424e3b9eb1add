import { type Reason, Reason_Code, type Shortfall } from '@serverless-ai/contracts/common/v1/common'
import { clockTime, count, cpu, memory } from '../output/text.ts'

/** A reason with its numbers, from a message or from the flat details of a story entry. */
export interface ReasonFacts {
  /** `CAPACITY_WAIT` */
  readonly code: string
  readonly shortfalls: readonly Omit<Shortfall, '_unknownFields'>[]
  readonly nodesTotal: number
  readonly nodesFiltered: number
  readonly jobsAhead: number
  readonly untilMs: number
}

const NAMES = new Map<number, string>(
  Object.entries(Reason_Code).map(([name, code]) => [code, name]),
)

/** Facts of a reason message; undefined when it says nothing. */
export function factsOf(reason: Reason | undefined): ReasonFacts | undefined {
  if (reason === undefined || reason.code === Reason_Code.UNSPECIFIED) return undefined
  const { nodesTotal, nodesFiltered, jobsAhead, untilMs } = reason
  const shortfalls = reason.shortfalls.map(({ dimension, want, free, total, nodeId, perTask }) => ({
    dimension,
    want,
    free,
    total,
    nodeId,
    perTask,
  }))
  const code = NAMES.get(reason.code) ?? `REASON_${reason.code}`
  return { code, shortfalls, nodesTotal, nodesFiltered, jobsAhead, untilMs: Number(untilMs) }
}

/** Facts of a story entry with flat numbers (`devices.want` → `4`), if it names a reason. */
export function factsOfDetails(details: Readonly<Record<string, string>>): ReasonFacts | undefined {
  const code = details.reason
  if (code === undefined || code === '') return undefined
  const names = Object.keys(details).flatMap((key) => /^(.+)\.want$/.exec(key)?.[1] ?? [])
  const amount = (key: string) => BigInt(/^\d{1,18}$/.test(details[key] ?? '') ? details[key]! : 0)
  return {
    code,
    shortfalls: names.map((name) => ({
      dimension: name.replace(/PerTask$/, ''),
      perTask: name.endsWith('PerTask'),
      want: amount(`${name}.want`),
      free: amount(`${name}.free`),
      total: amount(`${name}.total`),
      nodeId: details[`${name}.node`] ?? '',
    })),
    nodesTotal: Number(details.nodesTotal ?? 0),
    nodesFiltered: Number(details.nodesFiltered ?? 0),
    jobsAhead: Number(details.jobsAhead ?? 0),
    untilMs: Number(details.untilMs ?? 0),
  }
}

type Short = ReasonFacts['shortfalls'][number]

/** True for what is counted: devices, tasks, ports. */
const isCounted = ({ dimension }: Short): boolean =>
  dimension !== 'cpuMillis' && dimension !== 'memoryMib'

function amount(short: Short, value: bigint): string {
  if (isCounted(short)) return count(Number(value), short.dimension.replace(/s$/, ''))
  return short.dimension === 'cpuMillis' ? cpu(value) : memory(value)
}

/** `needs 4 devices, 2 of 6 free` */
function shortText(short: Short): string {
  const { dimension, want, free, total, nodeId, perTask } = short
  if (dimension === 'tasks') return `room for ${free} of ${want} tasks`
  const of = (value: bigint) => (isCounted(short) ? `${value}` : amount(short, value))
  const needs = `${perTask ? 'one task needs' : 'needs'} ${amount(short, want)}`
  if (nodeId === '') return `${needs}, ${of(free)} of ${of(total)} free`
  const best = total < want ? `has ${of(total)}` : `has ${of(free)} of ${of(total)} free`
  return `${needs}, the best node ${nodeId} ${best}`
}

/** `needs 40 devices, the fleet has 6`: what is free now does not matter. */
function limitText(short: Short, owner: string): string {
  const { dimension, want, total, nodeId, perTask } = short
  if (dimension === 'tasks') return `room for ${total} of ${want} tasks`
  const has = isCounted(short) ? `${total}` : amount(short, total)
  if (!perTask) return `needs ${amount(short, want)}, ${owner} ${has}`
  const node = nodeId === '' ? 'largest node' : `best node ${nodeId}`
  return `one task needs ${amount(short, want)}, the ${node} has ${has}`
}

function listed({ shortfalls }: ReasonFacts, text: (short: Short) => string): string {
  return shortfalls.length === 0 ? '' : `: ${shortfalls.map(text).join('; ')}`
}

const numbers = (facts: ReasonFacts) => listed(facts, shortText)
const limits = (facts: ReasonFacts, owner: string) =>
  listed(facts, (short) => limitText(short, owner))

/** True when each task fits somewhere, only not all of them. */
const isTooMany = ({ shortfalls }: ReasonFacts): boolean =>
  shortfalls.length > 0 && shortfalls.every(({ perTask }) => !perTask)

function nodes({ nodesTotal, nodesFiltered }: ReasonFacts): string {
  if (nodesTotal === 0) return ' (no node is registered)'
  const never = nodesFiltered === 0 ? '' : `, ${nodesFiltered} of them can never hold a task of it`
  return ` (${count(nodesTotal, 'node')} looked at${never})`
}

type Sentence = (facts: ReasonFacts) => string

const until = ({ untilMs }: ReasonFacts) => (untilMs === 0 ? '' : ` until ${clockTime(untilMs)}`)

function older({ shortfalls }: ReasonFacts): string {
  const [tasks] = shortfalls
  if (tasks === undefined) return 'waits for another job'
  const left = Number(tasks.want - tasks.free)
  const where = tasks.nodeId === '' ? '' : ` (for one, on ${tasks.nodeId})`
  return `waits until ${count(left, 'task')} of its older generations are certainly gone${where}`
}

/** What each code of the closed list means, with its numbers. */
const MEANS: Readonly<Record<string, Sentence>> = {
  SUSPENDED: () => 'is held back by its owner or an operator',
  INVALID_SPEC: (f) => `cannot be scheduled as written${numbers(f)}`,
  UNKNOWN_QUEUE: () => 'its queue does not exist for this tenant',
  EXCEEDS_QUEUE_MAX: (f) =>
    `is above the maximum of its queue all by itself${limits(f, 'the queue may hold')}`,
  NO_MATCHING_NODE: (f) => {
    const who = isTooMany(f)
      ? 'even an empty fleet cannot hold it'
      : 'no node, even empty, can hold it'
    return `${who}${limits(f, 'the fleet has')}${nodes(f)}`
  },
  QUOTA_WAIT: (f) => `its queue has used up its maximum${numbers(f)}`,
  CAPACITY_WAIT: (f) => `waits for free capacity${numbers(f)}${nodes(f)}`,
  TOPOLOGY_WAIT: (f) => `capacity is free, but not where it needs it${numbers(f)}`,
  GANG_INCOMPLETE: (f) => `some of its tasks would fit, the whole gang would not${numbers(f)}`,
  PREEMPTING_OTHERS: (f) => `waits until others have left their devices${numbers(f)}`,
  DEPENDENCY_WAIT: older,
  RATE_LIMITED: (f) => `is held by a rate limit${until(f)}`,
  POOL_SCALING_UP: (f) => `waits for nodes that are being added${numbers(f)}`,
  CHECKPOINT_WAIT: () => 'waits for a checkpoint of its older generation',
  BACKOFF: (f) => `waits for the end of the back-off after a failure${until(f)}`,
  NOT_YET_EVALUATED: () => 'was not looked at yet since the last change',
}

/** `2 more devices are` */
function more({ shortfalls }: ReasonFacts): string {
  const short = shortfalls.find(({ want, free, perTask }) => !perTask && want > free)
  if (short === undefined) return 'enough is'
  const missing = short.want - short.free
  if (!isCounted(short)) return `${amount(short, missing)} more is`
  const [number, thing] = amount(short, missing).split(' ')
  return `${number} more ${thing} ${missing === 1n ? 'is' : 'are'}`
}

/** What would unblock it. */
const UNBLOCKED: Readonly<Record<string, Sentence>> = {
  SUSPENDED: () => 'It goes on when it is resumed.',
  INVALID_SPEC: () => 'Mend the description and submit it again.',
  UNKNOWN_QUEUE: () =>
    'See the queues with `sai queue list`; an operator makes one with `sai queue create`.',
  EXCEEDS_QUEUE_MAX: () => 'Ask for less, or have the maximum of the queue raised.',
  NO_MATCHING_NODE: (f) =>
    isTooMany(f)
      ? 'Ask for fewer tasks, or add nodes.'
      : 'Ask for less per task or for another model, or add a node that fits.',
  QUOTA_WAIT: (f) =>
    `It starts when ${more(f)} free in its queue: ` +
    'when other jobs of the queue end, or its maximum is raised.',
  CAPACITY_WAIT: (f) =>
    `It starts when ${more(f)} free: when running jobs end, or nodes are added.`,
  TOPOLOGY_WAIT: () => 'It starts when the right neighbours are free.',
  GANG_INCOMPLETE: (f) =>
    `It starts as a whole when ${more(f)} free: when running jobs end, or nodes are added.`,
  PREEMPTING_OTHERS: () => 'It starts when they are gone.',
  DEPENDENCY_WAIT: () => 'It starts when they are gone, or their node is believed lost.',
  RATE_LIMITED: () => 'It goes on by itself.',
  POOL_SCALING_UP: () => 'It starts when they are there.',
  CHECKPOINT_WAIT: () => 'It goes on when the checkpoint is registered.',
  BACKOFF: () => 'It goes on by itself then.',
  NOT_YET_EVALUATED: () => 'It is looked at in the next round.',
}

/** `CAPACITY_WAIT: waits for free capacity: needs 4 devices, …` */
export function reasonText(facts: ReasonFacts): string {
  const sentence = MEANS[facts.code]?.(facts) ?? `waits${numbers(facts)}`
  return `${facts.code}: ${sentence}`
}

/** One sentence on what would end the waiting; empty when nothing is known. */
export function unblockText(facts: ReasonFacts): string {
  return UNBLOCKED[facts.code]?.(facts) ?? ''
}

/** Codes that have a sentence; a test compares them with the closed list. */
export const EXPLAINED_REASONS: readonly string[] = Object.keys(MEANS).filter(
  (code) => code in UNBLOCKED,
)
