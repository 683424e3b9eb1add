import type {
  ListExecutionsRequest,
  ListExecutionsResponse,
  ListNodesRequest,
  ListNodesResponse,
} from '@serverless-ai/contracts/pool/v1/pool'
import type { CallContext } from '@serverless-ai/kernel'
import { readOptions } from '@serverless-ai/runtime'
import { poolError } from '../adapters/errors.ts'
import { executionToProto, nodeToProto } from '../adapters/to-proto.ts'
import { devicesUsedOn, type PoolState } from '../core/state.ts'
import type { PoolRuntime } from './definition.ts'
import { executionsOf, gangsFor } from './job-view.ts'

/** Nodes on a page, by default and at most. */
const PAGE = { default: 100, max: 1_000 } as const
const TOKEN_PREFIX = 'after:'

/** Reads of the pool manager's own state. */
export class PoolHandlers {
  readonly #runtime: PoolRuntime

  constructor(runtime: PoolRuntime) {
    this.#runtime = runtime
  }

  /** Nodes in id order; every role sees all nodes. */
  async listNodes(request: ListNodesRequest, context: CallContext): Promise<ListNodesResponse> {
    const size = request.pageSize === 0 ? PAGE.default : request.pageSize
    const after = afterOf(request.pageToken)
    if (size > PAGE.max || after === undefined) throw poolError('INVALID_PAGE')
    const { value, token } = await this.#runtime.read(
      (state) => pageOf(state, { after, size }),
      readOptions(context, request.minPosition),
    )
    return { ...value, position: token }
  }

  /** Executions of a job, all generations still kept. */
  async listExecutions(
    request: ListExecutionsRequest,
    context: CallContext,
  ): Promise<ListExecutionsResponse> {
    const { value, token } = await this.#runtime.read(
      (state) => {
        const all = executionsOf(gangsFor(state, request.jobId, context.principal))
        return all.map(({ execution, grant }) => executionToProto(execution, grant))
      },
      readOptions(context, request.minPosition),
    )
    return { executions: value, position: token }
  }
}

function pageOf(
  state: PoolState,
  page: { readonly after: string; readonly size: number },
): Omit<ListNodesResponse, 'position'> {
  const ids = [...state.nodes.keys()].filter((id) => id > page.after).sort()
  const chosen = ids.slice(0, page.size)
  const nodes = chosen.flatMap((id) => {
    const node = state.nodes.get(id)
    return node === undefined ? [] : [nodeToProto(node, devicesUsedOn(state, id))]
  })
  const last = chosen.at(-1)
  const more = last !== undefined && ids.length > chosen.length
  return { nodes, nextPageToken: more ? `${TOKEN_PREFIX}${last}` : '' }
}

function afterOf(pageToken: string): string | undefined {
  if (pageToken === '') return ''
  return pageToken.startsWith(TOKEN_PREFIX) ? pageToken.slice(TOKEN_PREFIX.length) : undefined
}
