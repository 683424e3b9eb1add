/** Batches of measurements → facts of the core. */
import {
  type RequestRecord,
  RequestRecord_Outcome,
  type TelemetryBatch,
} from '@serverless-ai/contracts/telemetry/v1/telemetry'
import { NAME_MAX, timesHold } from '@serverless-ai/telemetry-bus'
import type { BatchFacts, EndedFact, LoadFact } from '../core/signal-facts.ts'

/** Outcomes that say something of a service; callers who were wrong or went away do not. */
const COUNTED: ReadonlySet<number> = new Set([
  RequestRecord_Outcome.OK,
  RequestRecord_Outcome.FAILED,
  RequestRecord_Outcome.SHED,
  RequestRecord_Outcome.DEADLINE,
])

const measured = (name: 'queueUs' | 'ttftUs' | 'tpotUs', value: bigint | undefined) =>
  value === undefined ? {} : { [name]: Number(value) }

/** A request that ended; undefined when it cannot be, or says nothing of the service. */
function endedFromProto(record: RequestRecord, atMs: number): EndedFact | undefined {
  const { jobId, outcome, queueUs, ttftUs, tpotUs, e2eUs } = record
  if (!COUNTED.has(outcome) || jobId === '' || jobId.length > NAME_MAX) return undefined
  if (!timesHold(record)) return undefined
  return {
    jobId,
    atMs,
    arrivedMs: Number(record.arrivedMs),
    answered: outcome === RequestRecord_Outcome.OK,
    ...measured('queueUs', queueUs),
    ...measured('ttftUs', ttftUs),
    ...measured('tpotUs', tpotUs),
    e2eUs: Number(e2eUs),
    outputTokens: record.outputTokens ?? 0,
  }
}

/** A batch of a gate, looked through; undefined = it is none, or its envelope cannot be. */
export function batchFromProto(batch: TelemetryBatch, missingMs: number): BatchFacts | undefined {
  const { source, bootId } = batch
  const sentMs = Number(batch.sentMs)
  if (!source.startsWith('gateway/') || source.length > NAME_MAX) return undefined
  if (bootId.length > NAME_MAX || !Number.isSafeInteger(sentMs)) return undefined
  const loads: LoadFact[] = []
  const ended: EndedFact[] = []
  for (const { atMs, value } of batch.samples) {
    if (value?.$case === 'serviceLoad') {
      const { jobId, inFlight, queued, arrivedTotal } = value.value
      if (jobId === '' || jobId.length > NAME_MAX) continue
      loads.push({
        jobId,
        atMs: Number(atMs),
        inside: inFlight,
        held: queued,
        arrivedTotal: Number(arrivedTotal),
      })
    } else if (value?.$case === 'request') {
      const request = endedFromProto(value.value, Number(atMs))
      if (request !== undefined) ended.push(request)
    }
  }
  return { source, bootId, sentMs, missingMs, loads, ended }
}
