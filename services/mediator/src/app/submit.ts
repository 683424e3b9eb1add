import { createHash } from 'node:crypto'
import type { SubmitJobRequest, SubmitJobResponse } from '@serverless-ai/contracts/job/v1/job'
import { Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import {
  type CallContext,
  type Clock,
  type Principal,
  type Refusal,
  type RpcCode,
  RpcError,
  type Timers,
} from '@serverless-ai/kernel'
import { CODE_NUMBERS } from '@serverless-ai/rpc'
import { callOptions } from '@serverless-ai/runtime'
import { parseDescription, renderDescription } from '../adapters/description/parse.ts'
import { errorOf, isSilent, mediatorError } from '../adapters/errors.ts'
import { jobRequest, jobToProto } from '../adapters/job.ts'
import type { JobSpec } from '../core/job-spec.ts'
import type { JobRecord, Rejection } from '../core/model.ts'
import { GoodAdvice } from './advice.ts'
import { type JobChanges, type TakenJobs, Wake } from './changes.ts'
import type { MediatorRuntime, SchedulerClient } from './definition.ts'
import { checkServing, type ServingKnown } from './serving.ts'

/** Longest wait for the scheduler when the caller names no deadline, ms. */
const WAIT_MS = 30_000
/** Kept of the caller's time to tell it what happened, ms. */
const MARGIN_MS = 250
const VALIDATE_TIMEOUT_MS = 5_000

/** What handling a submission needs. */
export interface SubmitPorts {
  readonly runtime: MediatorRuntime
  readonly changes: JobChanges
  readonly taken: TakenJobs
  readonly scheduler: SchedulerClient
  readonly clock: Clock
  readonly timers: Timers
  /** True when the tenant (or the operator, empty) uploaded the workspace. */
  readonly hasWorkspace: (tenant: string, workspace: string) => Promise<boolean>
  readonly serving: ServingKnown
}

function tenantOf(request: SubmitJobRequest, { roles, tenant }: Principal): string {
  if (roles.includes('admin')) {
    const named = request.tenant === '' ? tenant : request.tenant
    if (named === '') throw mediatorError('TENANT_REQUIRED')
    return named
  }
  if (tenant === '') throw mediatorError('TENANT_REQUIRED')
  if (request.tenant !== '' && request.tenant !== tenant) {
    throw mediatorError('TENANT_NOT_YOURS', { tenant })
  }
  return tenant
}

/** The job that is described. Throws INVALID_ARGUMENT with all that is wrong. */
export function describedIn(request: {
  readonly manifest: string
  readonly fileName: string
}): JobSpec {
  const parsed = parseDescription(request.manifest)
  if (parsed.ok) return parsed.spec
  const violations = parsed.problems.map(({ field, line, column, message }) => ({
    field: `${field === '' ? 'description' : field} (line ${line}, column ${column})`,
    description: message,
  }))
  const [first] = violations
  throw mediatorError(
    'INVALID_SPEC',
    {
      file: request.fileName === '' ? 'the description' : request.fileName,
      count: violations.length,
      first: `${first?.field}: ${first?.description}`,
    },
    violations,
  )
}

const isCode = (code: string): code is RpcCode => Object.hasOwn(CODE_NUMBERS, code)

function rejected({ code, reason, message, metadata }: Rejection): RpcError {
  return new RpcError({ code: isCode(code) ? code : 'UNKNOWN', reason, message, metadata })
}

/** Codes that say something of the request; all others say something of the moment. */
const FINAL: ReadonlySet<RpcCode> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
])

/** What an error says against a request. Throws it when that is nothing final. */
function rejectionOf(error: unknown): Rejection {
  if (!(error instanceof RpcError) || !FINAL.has(error.code)) throw error
  const { code, reason, message, metadata } = error
  return { code, reason, message, metadata: { ...metadata } }
}

const isRejection = (value: unknown): value is Rejection =>
  typeof value === 'object' && value !== null && 'code' in value && 'metadata' in value

/** The error of a refusal: of the core, or of whoever was asked before it. */
export function refused(refusal: Refusal): RpcError {
  const rejection = refusal.details?.['rejection']
  return isRejection(rejection) ? rejected(rejection) : errorOf(refusal)
}

/** Throws NOT_FOUND unless one of them has uploaded the workspace that is asked for. */
export async function checkWorkspace(
  { workspace }: JobSpec,
  owners: readonly string[],
  has: SubmitPorts['hasWorkspace'],
): Promise<void> {
  if (workspace === '') return
  const found = await Promise.all(owners.map((owner) => has(owner, workspace)))
  if (!found.includes(true)) throw mediatorError('WORKSPACE_NOT_FOUND', { workspace })
}

function bodyHash(tenant: string, request: SubmitJobRequest): Uint8Array {
  return createHash('sha256')
    .update(JSON.stringify([tenant, request.manifest]))
    .digest()
}

/** Takes jobs: checked, committed, queued by the scheduler, and only then answered. */
export class SubmitHandler {
  readonly #ports: SubmitPorts
  readonly #advice = new GoodAdvice()

  constructor(ports: SubmitPorts) {
    this.#ports = ports
  }

  async submit(request: SubmitJobRequest, context: CallContext): Promise<SubmitJobResponse> {
    const { principal } = context
    const tenant = tenantOf(request, principal)
    const spec = describedIn(request)
    // A repeated request gets its first answer, whatever the fleet looks like by now.
    const { requestId, validateOnly } = request
    const repeated = requestId !== '' && (await this.#knows(requestId))
    const check = { request, tenant, spec, context }
    if (validateOnly && !repeated) {
      const waiting = await this.#check(check)
      return { job: dryJob({ tenant, spec, waiting }), position: '' }
    }
    const rejection = repeated ? null : await this.#check(check).then(() => null, rejectionOf)
    const { runtime } = this.#ports
    const { partition: cell } = runtime
    const submittedBy = principal.subject
    // Refused in a commit, too: another attempt of the same request may be under way, here or at
    // the leader of before, and all of them get one answer.
    const answer = await runtime.execute(
      { type: 'SubmitJob', cell, tenant, submittedBy, requestId, spec, rejection },
      {
        ...(requestId === '' ? {} : { requestId, bodyHash: bodyHash(tenant, request) }),
        ...callOptions(context),
      },
    )
    if (!answer.ok) throw refused(answer.refusal)
    return this.#settled(jobIdOf(answer.value), context)
  }

  #knows(requestId: string): Promise<boolean> {
    return this.#ports.runtime
      .read((state) => state.requests.has(requestId))
      .then(({ value }) => value)
  }

  async #check(init: {
    request: SubmitJobRequest
    tenant: string
    spec: JobSpec
    context: CallContext
  }) {
    const { request, tenant, spec, context } = init
    const { scheduler, hasWorkspace, clock, serving } = this.#ports
    await checkWorkspace(spec, [tenant, context.principal.tenant], hasWorkspace)
    await checkServing(spec, { tenant, signal: context.signal }, serving)
    const job = jobRequest({ jobId: '', tenant, spec, submittedMs: 0 })
    if (!request.validateOnly && this.#advice.has(job, clock.monotonicMs())) return undefined
    const options = { signal: context.signal, timeoutMs: VALIDATE_TIMEOUT_MS }
    try {
      const { waiting } = await scheduler.validate({ job }, options)
      this.#advice.remember(job, clock.monotonicMs())
      return waiting
    } catch (error) {
      // Only advice: without a scheduler the job is taken, and queued when there is one.
      if (!request.validateOnly && isSilent(error)) return undefined
      throw error
    }
  }

  /**
   * Waits until the scheduler has queued the job or refused it. That it queued it is known from its
   * answer, before this log has it: the job is durable with both by then.
   */
  async #settled(jobId: string, context: CallContext): Promise<SubmitJobResponse> {
    const { runtime, changes, timers, taken } = this.#ports
    const wake = new Wake()
    let told: Told | undefined
    let isTaken = false
    const stops = [
      changes.listen(jobId, (job, { token }) => {
        // Taken while it is told: a read would wait for the commit that is in flight by then.
        told = toldOf(job, token)
        wake.set()
      }),
      taken.await(jobId, () => {
        isTaken = true
        wake.set()
      }),
    ]
    const waitMs = Math.max(0, (context.timeoutMs ?? WAIT_MS) - MARGIN_MS)
    let late = false
    const timer = timers.after(waitMs, () => {
      late = true
      wake.set()
    })
    try {
      const { value, token } = await runtime.read((state) => toldOf(state.jobs.get(jobId), ''))
      told ??= { ...value, position: token }
      for (;;) {
        if (told.error !== undefined) throw told.error
        if (told.queued) return { job: told.job, position: told.position }
        if (isTaken) return { job: queuedJob(told.job), position: told.position }
        if (late) throw mediatorError('ENQUEUE_PENDING', { jobId })
        await wake.wait(timers, waitMs, context.signal)
      }
    } finally {
      timer.cancel()
      for (const stop of stops) stop()
    }
  }
}

/** What is known of a submission. */
interface Told {
  readonly job: Job | undefined
  readonly error: RpcError | undefined
  /** This log knows that the scheduler has the job. */
  readonly queued: boolean
  readonly position: string
}

function toldOf(job: JobRecord | undefined, position: string): Told {
  const nothing = { job: undefined, queued: false, position }
  // Forgotten: it finished long ago, a repeated request came very late.
  if (job === undefined) {
    return { ...nothing, error: mediatorError('JOB_NOT_FOUND', { jobId: 'of this request' }) }
  }
  if (job.rejection !== null) return { ...nothing, error: rejected(job.rejection) }
  // The caller has the description; rendering it again costs more than deciding the job did.
  const { enqueued: queued } = job
  return { job: jobToProto(job, { manifest: false }), error: undefined, queued, position }
}

/** The job as the scheduler answered that it is. */
const queuedJob = (job: Job | undefined): Job | undefined =>
  job?.state === Job_State.SUBMITTED ? { ...job, state: Job_State.QUEUED } : job

function dryJob(init: { tenant: string; spec: JobSpec; waiting: Job['reason'] }): Job {
  const { tenant, spec, waiting } = init
  return {
    ...Job.fromPartial({}),
    name: spec.name,
    tenant,
    queue: spec.queue,
    state: Job_State.UNSPECIFIED,
    reason: waiting,
    tasks: spec.tasks,
    devicesPerTask: spec.resources.devices,
    manifest: renderDescription(spec),
  }
}

function jobIdOf(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'jobId' in value) return String(value.jobId)
  throw new TypeError('the answer of a submission names its job')
}
