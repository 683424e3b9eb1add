import { createHash } from 'node:crypto'
import type {
  UpdateServiceRequest,
  UpdateServiceResponse,
} from '@serverless-ai/contracts/job/v1/job'
import type { CallContext } from '@serverless-ai/kernel'
import { callOptions } from '@serverless-ai/runtime'
import { mediatorError } from '../adapters/errors.ts'
import { jobToProto } from '../adapters/job.ts'
import { scopeOf, visibleJob } from './access.ts'
import type { MediatorRuntime } from './definition.ts'
import { checkServing, type ServingKnown } from './serving.ts'
import { checkWorkspace, describedIn, refused, type SubmitPorts } from './submit.ts'

/**
 * Gives services other descriptions. Answered when it is written down: the scheduler hears of it
 * then, and replaces the replicas.
 */
export class UpdateHandler {
  readonly #runtime: MediatorRuntime
  readonly #hasWorkspace: SubmitPorts['hasWorkspace']
  readonly #serving: ServingKnown

  constructor(init: Pick<SubmitPorts, 'runtime' | 'hasWorkspace' | 'serving'>) {
    this.#runtime = init.runtime
    this.#serving = init.serving
    this.#hasWorkspace = init.hasWorkspace
  }

  async update(
    request: UpdateServiceRequest,
    context: CallContext,
  ): Promise<UpdateServiceResponse> {
    const { principal } = context
    const { jobId, requestId, manifest, toRevision } = request
    if ((manifest === '') === (toRevision === 0)) {
      const first = 'manifest or to_revision: exactly one of them is given'
      throw mediatorError('INVALID_SPEC', { file: 'the request', count: 1, first })
    }
    const spec = manifest === '' ? null : describedIn(request)
    if (spec !== null) {
      const tenant = await this.#tenantOf(jobId, context)
      await checkWorkspace(spec, [tenant, principal.tenant], this.#hasWorkspace)
      await checkServing(spec, { tenant, signal: context.signal }, this.#serving)
    }
    const scope = scopeOf(principal)
    const by = principal.subject
    const hash = createHash('sha256').update(JSON.stringify([jobId, manifest, toRevision]))
    const answer = await this.#runtime.execute(
      { type: 'UpdateService', jobId, tenant: scope, by, spec, toRevision },
      {
        ...(requestId === '' ? {} : { requestId, bodyHash: hash.digest() }),
        ...callOptions(context),
      },
    )
    if (!answer.ok) throw refused(answer.refusal)
    const { value } = await this.#runtime.read((state) =>
      jobToProto(visibleJob(state, jobId, principal), { manifest: true }),
    )
    return { job: value, position: answer.position }
  }

  async #tenantOf(jobId: string, { principal, signal }: CallContext): Promise<string> {
    const look = () =>
      this.#runtime.read((state) => visibleJob(state, jobId, principal).tenant, { signal })
    // A follower may not have heard of the job yet: that there is none is said by a leader alone.
    const { value } = await look().catch(async () => {
      await this.#runtime.confirm()
      return look()
    })
    return value
  }
}
