import { createHash } from 'node:crypto'
import {
  CreateObjectiveRequest,
  type CreateObjectiveResponse,
  DeleteObjectiveRequest,
  type DeleteObjectiveResponse,
  type ExplainObjectiveRequest,
  type ExplainObjectiveResponse,
  type GetLedgerRequest,
  type GetLedgerResponse,
  type ListObjectivesRequest,
  type ListObjectivesResponse,
  type ObjectiveServiceService,
  UpdateObjectiveRequest,
} from '@serverless-ai/contracts/objective/v1/objective'
import type { CallContext, Clock, HandlersOf, Principal } from '@serverless-ai/kernel'
import { rpcError, seesAll, seesTenant } from '@serverless-ai/rpc'
import { callOptions, readNow, storyUntil } from '@serverless-ai/runtime'
import { errorOf } from '../adapters/errors.ts'
import { wishFromProto } from '../adapters/from-proto.ts'
import { objectiveToProto, sourcesToProto, statementToProto } from '../adapters/to-proto.ts'
import { declared } from '../core/decide.ts'
import type { SlaCommand } from '../core/messages.ts'
import {
  isJobIndicator,
  type ObjectiveState,
  type ObjectiveWish,
  type SlaState,
} from '../core/model.ts'
import type { SlaRuntime } from './definition.ts'
import { openDays, statusOf } from './status.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000
const LEDGER_DEFAULT = 31
const LEDGER_MAX = 100
/** Of an objective that is only looked at. */
const NO_ID = '0'.repeat(32)

/** Tenant for which a caller acts; empty = operators. */
const callerOf = (principal: Principal): string => (seesAll(principal) ? '' : principal.tenant)

const notFound = (objective: string) =>
  errorOf({ reason: 'OBJECTIVE_NOT_FOUND', details: { objective } })

/** Operators see all objectives, tenants their own. */
const maySee = (principal: Principal, of: ObjectiveState): boolean =>
  seesTenant(principal, of.objective.tenant)

/**
 * By id, or by a name: of the own tenant, for operators one that is unique. `ledgerOf`: a tenant
 * finds what holds for all as well, where it has a ledger.
 */
function find(state: SlaState, typed: string, principal: Principal, ledgerOf = ''): ObjectiveState {
  const sees = (of: ObjectiveState): boolean =>
    maySee(principal, of) ||
    (ledgerOf !== '' && of.objective.tenant === '' && of.ledgers.has(ledgerOf))
  const byId = state.objectives.get(typed)
  if (byId !== undefined && sees(byId)) return byId
  const named = [...state.objectives.values()].filter(
    (of) => of.objective.name === typed && sees(of),
  )
  const [only, second] = named
  if (only === undefined) throw notFound(typed)
  if (second === undefined) return only
  const ids = named.map(({ objective }) => `${objective.objectiveId} (${objective.tenant})`)
  throw rpcError('INVALID_OBJECTIVE', {
    message: `several objectives are called ${typed}: ${ids.join(', ')}`,
    metadata: { field: 'objective' },
  })
}

const hashOf = (body: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(body).digest())

/** Where an objective names a class, and which. */
type NamedClass = readonly [field: string, name: string]

/** None = it is for all. */
const madeFor = ({ class: name }: ObjectiveWish): readonly NamedClass[] =>
  name === '' ? [] : [['class', name]]

const shedBy = ({ actions }: ObjectiveWish): readonly NamedClass[] =>
  actions.flatMap((step, index) =>
    step.action === 'shed' ? [[`actions[${index}].class`, step.class] as const] : [],
  )

/** Business side of `ObjectiveService`. */
export class ObjectiveHandlers {
  readonly #runtime: SlaRuntime
  readonly #clock: Clock
  readonly #classes: readonly string[]

  /** @param init `classes`: of requests, as the gateways have them */
  constructor(init: {
    readonly runtime: SlaRuntime
    readonly clock: Clock
    readonly classes: readonly string[]
  }) {
    this.#runtime = init.runtime
    this.#clock = init.clock
    this.#classes = init.classes
  }

  handlers(): HandlersOf<typeof ObjectiveServiceService> {
    return {
      createObjective: (request, context) => this.#create(request, context),
      updateObjective: (request, context) => this.#update(request, context),
      deleteObjective: (request, context) => this.#delete(request, context),
      getObjective: async (request, context) => {
        const query = (state: SlaState) =>
          objectiveToProto(find(state, request.objective, context.principal).objective)
        const { value, token } = await this.#read(query, context, request.minPosition)
        return { objective: value, position: token }
      },
      listObjectives: (request, context) => this.#list(request, context),
      getObjectiveStatus: async (request, context) => {
        const query = (state: SlaState, atMs: number) => {
          const of = find(state, request.objective, context.principal)
          const ofJobs = isJobIndicator(of.objective.indicator)
          return {
            status: statusOf(of, state, atMs),
            sources: ofJobs ? [] : sourcesToProto(state),
          }
        }
        const { value, token } = await this.#read(query, context, request.minPosition)
        return { ...value, position: token }
      },
      getLedger: (request, context) => this.#ledger(request, context),
      explainObjective: (request, context) => this.#explain(request, context),
    }
  }

  /** `atMs`: now, not before the last commit. */
  #read<T>(
    query: (state: SlaState, atMs: number) => T,
    context: CallContext,
    minPosition = '',
  ): Promise<{ value: T; token: string }> {
    const now = { wallMs: this.#clock.wallMs(), context, minPosition }
    return readNow(this.#runtime, now, query)
  }

  async #execute(
    command: SlaCommand,
    context: CallContext,
    request: { readonly requestId: string; readonly body: Uint8Array },
  ): Promise<{ objectiveId: string; position: string }> {
    const { requestId, body } = request
    const answer = await this.#runtime.execute(command, {
      ...callOptions(context),
      ...(requestId === '' ? {} : { requestId, bodyHash: hashOf(body) }),
    })
    if (!answer.ok) throw errorOf(answer.refusal)
    const { objectiveId } = answer.value as { objectiveId: string }
    return { objectiveId, position: answer.position }
  }

  /** The objective as it is after a command. */
  async #changed(
    command: SlaCommand,
    context: CallContext,
    request: { readonly requestId: string; readonly body: Uint8Array },
  ): Promise<CreateObjectiveResponse> {
    const { objectiveId, position } = await this.#execute(command, context, request)
    const query = (state: SlaState) => {
      const of = state.objectives.get(objectiveId)
      if (of === undefined) throw notFound(objectiveId)
      return objectiveToProto(of.objective)
    }
    const { value } = await this.#read(query, context, position)
    return { objective: value, position }
  }

  async #create(
    request: CreateObjectiveRequest,
    context: CallContext,
  ): Promise<CreateObjectiveResponse> {
    const caller = callerOf(context.principal)
    const asked = wishFromProto(request.objective)
    const wish = asked.tenant === '' ? { ...asked, tenant: caller } : asked
    this.#checkClasses([...madeFor(wish), ...shedBy(wish)])
    if (request.validateOnly) {
      const { value } = await this.#read(
        (state, atMs) => declared({ caller, wish }, state, { atMs, nonce: NO_ID }),
        context,
      )
      if (!value.accepted) throw errorOf(value.refusal)
      const objective = objectiveToProto({ ...value.objective, objectiveId: '' })
      return { objective, position: '' }
    }
    const body = CreateObjectiveRequest.encode({ ...request, requestId: '' }).finish()
    const { requestId } = request
    return this.#changed({ type: 'CreateObjective', caller, wish }, context, { requestId, body })
  }

  /** Not in the core: which classes there are is a setting, and no fact of the log. */
  #checkClasses(named: readonly NamedClass[]): void {
    const known = this.#classes
    const wrong = named.find(([, name]) => !known.includes(name))
    if (wrong === undefined) return
    const [field, value] = wrong
    const details = { field, class: value, known: known.join(', ') }
    throw errorOf({ reason: 'CLASS_UNKNOWN', details })
  }

  async #update(
    request: UpdateObjectiveRequest,
    context: CallContext,
  ): Promise<CreateObjectiveResponse> {
    const caller = callerOf(context.principal)
    const { objectiveId = '', version = 0 } = request.objective ?? {}
    const wish = wishFromProto(request.objective)
    // The class that it is for cannot be changed.
    this.#checkClasses(shedBy(wish))
    const body = UpdateObjectiveRequest.encode({ ...request, requestId: '' }).finish()
    const command = { type: 'UpdateObjective', caller, objectiveId, version, wish } as const
    return this.#changed(command, context, { requestId: request.requestId, body })
  }

  async #delete(
    request: DeleteObjectiveRequest,
    context: CallContext,
  ): Promise<DeleteObjectiveResponse> {
    const caller = callerOf(context.principal)
    const { objectiveId, requestId } = request
    const body = DeleteObjectiveRequest.encode({ ...request, requestId: '' }).finish()
    const command = { type: 'DeleteObjective', caller, objectiveId } as const
    const { position } = await this.#execute(command, context, { requestId, body })
    return { position }
  }

  async #list(
    request: ListObjectivesRequest,
    context: CallContext,
  ): Promise<ListObjectivesResponse> {
    const size = Math.min(request.pageSize === 0 ? PAGE_DEFAULT : request.pageSize, PAGE_MAX)
    const { value, token } = await this.#read(
      (state, atMs) => {
        const mine = [...state.objectives.values()]
          .filter((of) => maySee(context.principal, of))
          .filter(({ objective }) => objective.objectiveId > request.pageToken)
          .sort((a, b) => (a.objective.objectiveId < b.objective.objectiveId ? -1 : 1))
        const page = mine.slice(0, size).map((of) => statusOf(of, state, atMs))
        return { page, more: mine.length > size }
      },
      context,
      request.minPosition,
    )
    const last = value.page.at(-1)?.objective?.objectiveId ?? ''
    return { objectives: value.page, nextPageToken: value.more ? last : '', position: token }
  }

  async #ledger(request: GetLedgerRequest, context: CallContext): Promise<GetLedgerResponse> {
    const { principal } = context
    const limit = Math.min(request.limit === 0 ? LEDGER_DEFAULT : request.limit, LEDGER_MAX)
    const caller = callerOf(principal)
    const { value, token } = await this.#read((state) => {
      const of = find(state, request.objective, principal, caller)
      const tenant = request.tenant || caller || of.objective.tenant
      const ledger = seesTenant(principal, tenant) ? of.ledgers.get(tenant) : undefined
      if (ledger === undefined) return { statements: [], open: [] }
      const { name } = of.objective
      const newest = ledger.statements.slice(-limit)
      return {
        statements: newest.map((statement) => statementToProto(statement, name)),
        open: openDays(of, { tenant, ledger }, state),
      }
    }, context)
    return { ...value, position: token }
  }

  async #explain(
    request: ExplainObjectiveRequest,
    context: CallContext,
  ): Promise<ExplainObjectiveResponse> {
    const until = request.untilMs === 0n ? Number.POSITIVE_INFINITY : Number(request.untilMs)
    const { value, token } = await this.#read(
      (state) => find(state, request.objective, context.principal).story,
      context,
    )
    return { story: storyUntil('sla-monitor', value, until), position: token }
  }
}
