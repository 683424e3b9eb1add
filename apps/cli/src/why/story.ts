import type { ExplainJobResponse } from '@serverless-ai/contracts/job/v1/job'
import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { clockTime, duration, plain, table } from '../output/text.ts'
import { factsOf, factsOfDetails, reasonText, unblockText } from './reason.ts'

type Details = Readonly<Record<string, string>>
type Sentence = (details: Details) => string

const given = (text: string | undefined): text is string => text !== undefined && text !== ''
const generation = (d: Details) => (given(d.generation) ? `generation ${d.generation}` : 'it')

function resumes(d: Details, step: string | undefined): string {
  if (!given(step) || step === '0') return d.generation === '1' ? '' : ', from the start'
  return `, from the checkpoint at step ${step}`
}

function nodesText(d: Details): string {
  const nodes = (d.nodes ?? '').split(',').filter(given)
  const tasks = (d.tasksOnNode ?? '').split(',').filter(given)
  return nodes.map((n, i) => (given(tasks[i]) ? `${n} (${tasks[i]})` : n)).join(', ')
}

function queued(d: Details): string {
  const facts = factsOfDetails(d)
  const where = given(d.queue) ? ` in ${d.queue}` : ''
  return facts === undefined ? `queued${where}` : `queued${where}; ${reasonText(facts)}`
}

function recovering(d: Details): string {
  const facts = factsOfDetails(d)
  const why = given(d.cause) ? `: ${d.cause}` : ''
  const wait = facts === undefined ? '' : `; ${reasonText(facts)}`
  const known = given(d.checkpointStep) && d.checkpointStep !== '0'
  const from = known
    ? resumes({ ...d, generation: '' }, d.checkpointStep)
    : ' from the start: no checkpoint was reported'
  return `${generation(d)} is given up${why}; the next one starts${from}${wait}`
}

function judged(d: Details): string {
  const charged =
    d.charged === 'true' ? `, charged as restart ${d.restartsCharged}` : ', not charged'
  const decision = d.decision === 'GIVE_UP' ? 'give up' : (d.decision ?? '').toLowerCase()
  const lost = given(d.stepsLost) && d.stepsLost !== '0' ? `; ${d.stepsLost} steps are lost` : ''
  const who = `${(d.blame ?? '').toLowerCase()} (${d.cause})`
  return `${who}: ${d.summary ?? ''} → ${decision}${charged}${lost}`
}

const ms = (text: string | undefined) => duration(Number(text ?? 0))

const replica = (d: Details) => `replica ${d.gang}`

/** What each code says that services alone have. */
const OF_SERVICES: Readonly<Record<string, Sentence>> = {
  SCALED: (d) => `${d.wanted} wanted instead of ${d.from}, by ${d.by}: ${d.cause}`,
  READY: (d) => `${replica(d)} takes requests`,
  NOT_READY: (d) => `${replica(d)} takes no requests: ${d.cause}`,
  DRAINING: (d) => `${replica(d)} ends what it has, and gets nothing new (${d.cause})`,
  UPDATE_REQUESTED: (d) => `${d.by} gave it revision ${d.revision}`,
  UPDATE_REFUSED: (d) => `the scheduler refused the update: ${d.reason}`,
  UPDATE_STARTED: (d) => `replicas become those of revision ${d.revision}, after ${d.from}`,
  UPDATE_STALLED: (d) => `the update to revision ${d.revision} has stalled: ${d.cause}`,
  UPDATED: (d) => `all replicas are of revision ${d.revision}`,
}

/** What each code of a story says. */
const SENTENCES: Readonly<Record<string, Sentence>> = {
  SUBMITTED: (d) =>
    `submitted by ${d.by} to queue ${d.queue}, ${d.tasks} task${d.tasks === '1' ? '' : 's'}`,
  REJECTED: (d) => `refused by the scheduler: ${d.reason}`,
  CANCEL_REQUESTED: (d) => `${d.by} asked to cancel it`,
  QUEUED: queued,
  PLACED: (d) => `${generation(d)} placed on ${nodesText(d)}${resumes(d, d.checkpointStep)}`,
  LAUNCH_PREPARED: (d) => `launch of ${generation(d)} prepared`,
  STARTING: (d) => `${generation(d)} is starting`,
  RUNNING: (d) => `all tasks of ${generation(d)} run`,
  INCIDENT: (d) => `${generation(d)} failed, seen after ${ms(d.detectMs)}: ${d.evidence}`,
  JUDGED: judged,
  RECOVERED: (d) => `recovered ${ms(d.recoverMs)} after the failure`,
  RECOVERING: recovering,
  RELEASED: (d) => `devices of generation ${d.throughGeneration} given back (${d.cause})`,
  SUCCEEDED: () => 'all tasks ended well',
  FAILED: (d) => `given up: ${[d.code, d.cause].filter(given).join(', ')}`,
  CANCELLED: (d) => `cancelled${given(d.by) ? ` by ${d.by}` : ''}`,
  ...OF_SERVICES,
}

/** One line for a story entry; one with an unknown code shows its numbers. */
function entryText({ code, details }: StoryEntry): string {
  const sentence = SENTENCES[code]?.(details)
  if (sentence !== undefined) return plain(sentence)
  const numbers = Object.entries(details).map(([key, value]) => `${key}=${value}`)
  return plain([code.toLowerCase(), ...numbers].join(' '))
}

/** The whole story for people. */
export function storyText(why: ExplainJobResponse, jobId: string): string {
  const lines = [`${plain(why.name)} (${jobId}) is ${why.state}`]
  const facts = factsOf(why.reason)
  if (facts !== undefined) {
    lines.push(`  ${reasonText(facts)}`)
    const ahead = facts.jobsAhead > 0 ? `${facts.jobsAhead} jobs stand before it. ` : ''
    const place = why.queuePosition > 0 ? `Place ${why.queuePosition} in its queue. ` : ''
    const mend = `${place}${ahead}${unblockText(facts)}`.trim()
    if (mend !== '') lines.push(`  ${mend}`)
  }
  const rows = why.story.map((entry) => [clockTime(entry.atMs), entry.service, entryText(entry)])
  const missing = why.missing.map((owner) => `missing: ${plain(owner)}`)
  const at = why.position === '' ? [] : [`as of ${why.position}`]
  return [...lines, '', table(rows).trimEnd(), '', ...missing, ...at].join('\n').concat('\n')
}
