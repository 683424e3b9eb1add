/** Batches of measurements → facts of the core; what is impossible is left out and counted. */
import {
  type RequestRecord,
  RequestRecord_Outcome,
  type TelemetryBatch,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { NAME_MAX, timesHold } from '@serverless-ai/telemetry-bus'
import type { BatchFacts, RequestFact } from '../core/messages.ts'

/** No token takes longer, microseconds (an hour). */
const LONGEST_TOKEN_US = 3_600_000_000n

const OUTCOMES: ReadonlyMap<number, RequestFact['outcome']> = new Map([
  [RequestRecord_Outcome.OK, 'ok'],
  [RequestRecord_Outcome.CALLER_ERROR, 'caller'],
  [RequestRecord_Outcome.FAILED, 'failed'],
  [RequestRecord_Outcome.SHED, 'shed'],
  [RequestRecord_Outcome.DEADLINE, 'deadline'],
  [RequestRecord_Outcome.CANCELLED, 'cancelled'],
])

const measured = (name: 'ttftUs' | 'tpotUs', value: bigint | undefined) =>
  value === undefined ? {} : { [name]: Number(value) }

/** A request; undefined when it cannot be. */
export function requestFromProto(record: RequestRecord, atMs: number): RequestFact | undefined {
  const { jobId, tenant, class: name, ttftUs, tpotUs, e2eUs } = record
  const outcome = OUTCOMES.get(record.outcome)
  if (outcome === undefined || !Number.isSafeInteger(atMs) || atMs <= 0) return undefined
  if (jobId.length > NAME_MAX || tenant.length > NAME_MAX || name.length > NAME_MAX) {
    return undefined
  }
  if (!timesHold(record)) return undefined
  if ((tpotUs ?? 0n) > LONGEST_TOKEN_US) return undefined
  const times = { ...measured('ttftUs', ttftUs), ...measured('tpotUs', tpotUs) }
  return { jobId, tenant, class: name, outcome, atMs, ...times, e2eUs: Number(e2eUs) }
}

/** Whether it held requests at its last word about each service; undefined = it said nothing. */
function isBusy({ samples }: TelemetryBatch): boolean | undefined {
  const held = new Map<string, boolean>()
  for (const { value } of samples) {
    if (value?.$case !== 'serviceLoad') continue
    const { jobId, inFlight, queued } = value.value
    held.set(jobId, inFlight + queued > 0)
  }
  return held.size === 0 ? undefined : [...held.values()].includes(true)
}

/** Sources whose batches are counted: those that see requests. */
export const countsSource = (source: string): boolean =>
  source !== '' && source.length <= NAME_MAX && !source.startsWith('node/')

/** A batch, looked through; undefined when its envelope cannot be. */
export function batchFromProto(batch: TelemetryBatch): BatchFacts | undefined {
  const { source, bootId, samples } = batch
  const seq = Number(batch.seq)
  const sentMs = Number(batch.sentMs)
  if (!countsSource(source) || bootId.length > NAME_MAX) return undefined
  if (!Number.isSafeInteger(seq) || seq < 1 || !Number.isSafeInteger(sentMs)) return undefined
  let newestMs = 0
  let rejected = 0
  const requests: RequestFact[] = []
  for (const { atMs, value } of samples) {
    newestMs = Math.max(newestMs, Number(atMs))
    if (value?.$case !== 'request') continue
    const request = requestFromProto(value.value, Number(atMs))
    if (request === undefined) rejected += 1
    else requests.push(request)
  }
  const dropped = Number(batch.droppedSamples)
  return { source, bootId, seq, sentMs, newestMs, dropped, rejected, busy: isBusy(batch), requests }
}
