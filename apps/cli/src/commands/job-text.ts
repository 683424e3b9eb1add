import type { Job, Replica } from '@serverless-ai/contracts/job/v1/job'
import { progressText, scaleText, shape, stateWord, updateText } from '../output/states.ts'
import { age, duration, plain } from '../output/text.ts'
import { factsOf, reasonText, unblockText } from '../why/reason.ts'

function times(job: Job, nowMs: number): string {
  const parts = [`submitted ${age(job.submittedMs, nowMs)} ago`]
  if (job.startedMs !== 0n) parts.push(`started ${age(job.startedMs, nowMs)} ago`)
  if (job.finishedMs !== 0n) {
    const from = job.startedMs === 0n ? job.submittedMs : job.startedMs
    parts.push(
      `ended ${age(job.finishedMs, nowMs)} ago after ${duration(Number(job.finishedMs - from))}`,
    )
  }
  return parts.join(', ')
}

/** `n1: 0 1, n2: 2 3` */
function ranks(nodes: readonly string[]): string {
  const byNode = Map.groupBy(nodes.keys(), (rank) => nodes[rank] ?? '')
  return [...byNode].map(([node, of]) => `${node}: ${of.join(' ')}`).join(', ')
}

function ownerText({ scale }: Job): string {
  if (scale === undefined) return ''
  return scale.owner === '' ? 'nobody decides yet' : `${scale.owner} decides`
}

/** `2: rolling, 1 new ready, 2 old left`; empty for what was never updated. */
function revisionText(job: Job): string {
  if (job.update === undefined && job.revision < 2) return ''
  // What the scheduler told last may be about the update before.
  const told = job.update?.revision === job.revision ? updateText(job) : 'asked for'
  return `${job.revision}: ${told}`
}

/** `replica 3   Ready on n1 at 10.0.0.1:30001` */
function replicaRow(replica: Replica): [string, string] {
  const { gang, generation, state, node, address, port, cause, revision } = replica
  const of = revision > 1 ? `, revision ${revision}` : ''
  const again = `${of}${generation === 1 ? '' : `, generation ${generation}`}`
  const why = cause === '' ? '' : `: ${plain(cause)}`
  return [`replica ${gang}`, `${state} on ${node} at ${address}:${port}${again}${why}`]
}

/** A job for people. */
export function jobText(job: Job, nowMs: number): string {
  const facts = factsOf(job.reason)
  const { checkpoint } = job
  const saved = checkpoint && `step ${checkpoint.step} of generation ${checkpoint.generation}`
  const rows: [string, string][] = [
    ['job', `${job.jobId} (${plain(job.name)})`],
    ['state', [stateWord(job.state), plain(job.message)].filter(Boolean).join(': ')],
    ['why', facts === undefined ? '' : `${reasonText(facts)} ${unblockText(facts)}`],
    ['tenant', `${job.tenant}, queue ${job.queue}`],
    ['gang', `${shape(job)}${job.generation === 0 ? '' : `, generation ${job.generation}`}`],
    ['revision', revisionText(job)],
    ['scale', [scaleText(job), ownerText(job)].filter(Boolean).join('; ')],
    ['devices', job.emulatedDevices ? 'EMULATED: no real accelerator is behind them' : ''],
    ['ranks', job.kind === 'Inference' ? '' : ranks(job.nodes)],
    ...job.replicas.map(replicaRow),
    ['progress', plain(progressText(job))],
    ['checkpoint', checkpoint === undefined ? '' : `${saved}, ${plain(checkpoint.path)}`],
    ['result', plain(job.resultJson)],
    ['times', times(job, nowMs)],
  ]
  const lines = rows.flatMap(([name, text]) => (text === '' ? [] : [`${name.padEnd(11)} ${text}`]))
  return `${lines.join('\n')}\n\n${job.manifest}`
}
