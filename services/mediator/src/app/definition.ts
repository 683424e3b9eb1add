import type { SchedulerServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { type ClientOf, type EffectRequest, type Json, RpcError } from '@serverless-ai/kernel'
import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { jobRequest } from '../adapters/job.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { updateRequest } from '../adapters/update.ts'
import { mediatorDecider } from '../core/decider.ts'
import type { JobSpec } from '../core/job-spec.ts'
import { type MediatorCommand, type MediatorEvent, SCALING_EVENTS } from '../core/messages.ts'
import { type MediatorState, type Rejection, SCALING_LEVEL } from '../core/model.ts'
import type { UpdateOrder } from '../core/updates.ts'

/** Version of the state's JSON and of the events' data. */
const SCHEMA_VERSION = 1
const CALL_TIMEOUT_MS = 10_000

/** Runtime of the mediator. */
export type MediatorRuntime = ServiceRuntime<MediatorState, MediatorCommand, MediatorEvent>

export type SchedulerClient = ClientOf<SchedulerServiceService>

/** Answers after which asking again is of no use. */
const FINAL_CODES: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'FAILED_PRECONDITION',
  'OUT_OF_RANGE',
])

interface EnqueueOrder {
  readonly jobId: string
  readonly tenant: string
  readonly spec: JobSpec
  readonly submittedMs: number
}

function isOrder(payload: unknown): payload is EnqueueOrder {
  return typeof payload === 'object' && payload !== null && 'spec' in payload && 'jobId' in payload
}

function isCancel(payload: unknown): payload is { jobId: string; requestedBy: string } {
  return typeof payload === 'object' && payload !== null && 'requestedBy' in payload
}

/** A full cell is a refusal; any other exhausted resource is a matter of moments. */
const isFull = ({ reason }: RpcError): boolean => reason === 'TOO_MANY_JOBS'

function rejectionOf(error: unknown): Rejection {
  const final = error instanceof RpcError && (FINAL_CODES.has(error.code) || isFull(error))
  if (!final) throw error
  const { code, reason, message, metadata } = error
  return { code, reason, message, metadata }
}

type Perform = (
  scheduler: SchedulerClient,
  payload: Json,
  signal: AbortSignal,
) => Promise<MediatorCommand>

const enqueue: Perform = async (scheduler, payload, signal) => {
  if (!isOrder(payload)) throw new TypeError('not an order to enqueue a job')
  const { jobId } = payload
  const options = { signal, timeoutMs: CALL_TIMEOUT_MS }
  try {
    await scheduler.enqueue({ job: jobRequest(payload) }, options)
    return { type: 'SettleEnqueue', jobId, rejection: null }
  } catch (error) {
    return { type: 'SettleEnqueue', jobId, rejection: rejectionOf(error) }
  }
}

const isUpdate = (payload: unknown): payload is UpdateOrder =>
  typeof payload === 'object' && payload !== null && 'revision' in payload && 'number' in payload

const update: Perform = async (scheduler, payload, signal) => {
  if (!isUpdate(payload)) throw new TypeError('not an order to update a service')
  const settled = { type: 'SettleUpdate', jobId: payload.jobId, number: payload.number } as const
  try {
    await scheduler.update(updateRequest(payload), { signal, timeoutMs: CALL_TIMEOUT_MS })
    return { ...settled, rejection: null }
  } catch (error) {
    return { ...settled, rejection: rejectionOf(error) }
  }
}

const cancel: Perform = async (scheduler, payload, signal) => {
  if (!isCancel(payload)) throw new TypeError('not an order to cancel a job')
  const { jobId, requestedBy } = payload
  try {
    await scheduler.cancel({ jobId, requestedBy }, { signal, timeoutMs: CALL_TIMEOUT_MS })
  } catch (error) {
    // A job the scheduler has forgotten needs no cancelling; anything else is tried again.
    rejectionOf(error)
  }
  return { type: 'SettleCancel', jobId }
}

/** What carries out each kind of effect. */
const PERFORMERS: Readonly<Record<string, Perform>> = { enqueue, update, cancel }

/**
 * The mediator as a service of the log. `scheduler` is asked when an effect is due; `onTaken` hears
 * of each job at the moment at which the scheduler has it, before that stands in this log.
 */
export function mediatorDefinition(
  scheduler: SchedulerClient,
  onTaken?: (jobId: string) => void,
): ServiceDefinition<MediatorState, MediatorCommand, MediatorEvent> {
  return {
    name: 'mediator',
    schemaVersion: SCHEMA_VERSION,
    eventLevels: Object.fromEntries(SCALING_EVENTS.map((type) => [type, SCALING_LEVEL])),
    decider: mediatorDecider,
    publish,
    snapshotFeed,
    inputs,
    async perform(effect: EffectRequest, { signal }) {
      const perform = PERFORMERS[effect.kind]
      if (perform === undefined) throw new TypeError(`no effect is of the kind ${effect.kind}`)
      const command = await perform(scheduler, effect.payload, signal)
      if (command.type === 'SettleEnqueue' && command.rejection === null) onTaken?.(command.jobId)
      return command
    },
  }
}
