import type { ReadLogsRequest, ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import type { CallContext } from '@serverless-ai/kernel'
import { poolError } from '../adapters/errors.ts'
import type { AgentHub } from './agent-hub.ts'
import type { PoolRuntime } from './definition.ts'
import { Follower } from './follow-logs.ts'
import { Funnel } from './funnel.ts'
import { type ExecutionView, executionsOf, firstFailing, gangsFor, viewOf } from './job-view.ts'
import { LineCutter } from './line-cutter.ts'
import { messageOf, noteOf, pieceOf } from './log-pieces.ts'

/** Pieces between the nodes and the reader. */
const PIECES_MAX = 64

/** What a reader of logs looks at. */
interface LogsView {
  readonly executions: readonly ExecutionView[]
  /** True when no further generation will come. */
  readonly finished: boolean
}

/** Newest generation of each gang that has executions: replicas are recovered one by one. */
function newestOf(executions: readonly ExecutionView[]): ReadonlyMap<number, number> {
  const newest = new Map<number, number>()
  for (const { key } of executions) {
    newest.set(key.gang, Math.max(key.generation, newest.get(key.gang) ?? 0))
  }
  return newest
}

/** Logs of a job's tasks, read over the streams of the nodes' agents. */
export class LogReader {
  readonly #runtime: PoolRuntime
  readonly #hub: AgentHub

  constructor(init: { runtime: PoolRuntime; hub: AgentHub }) {
    this.#runtime = init.runtime
    this.#hub = init.hub
  }

  /** Handler of `PoolService.ReadLogs`. */
  async *readLogs(
    request: ReadLogsRequest,
    context: CallContext,
  ): AsyncGenerator<ReadLogsResponse> {
    await this.#hub.requireLeading()
    if (request.follow) yield* this.#follow(request, context)
    else yield* this.#once(request, context)
  }

  async #look(request: ReadLogsRequest, context: CallContext): Promise<LogsView> {
    const { value } = await this.#runtime.read((state) => {
      const gangs = gangsFor(state, request.jobId, context.principal)
      const executions = executionsOf(gangs)
        .map(({ execution }) => viewOf(state, execution))
        .filter(({ key }) => request.rank === undefined || key.rank === request.rank)
      return { executions, finished: gangs.every((gang) => gang.finished) }
    })
    return value
  }

  /** One task after another, the one that failed first on top. */
  async *#once(request: ReadLogsRequest, context: CallContext): AsyncGenerator<ReadLogsResponse> {
    const { executions } = await this.#look(request, context)
    const { generation } = request
    const newest = newestOf(executions)
    const wanted = executions.filter(({ key }) =>
      generation === 0 ? key.generation === newest.get(key.gang) : key.generation === generation,
    )
    if (wanted.length === 0) throw poolError('JOB_NOT_FOUND', { job: request.jobId, generation })
    const failing = firstFailing(wanted)
    const ordered =
      failing === undefined ? wanted : [failing, ...wanted.filter((x) => x !== failing)]
    if (ordered.every(({ nodeId }) => this.#hub.sessionOf(nodeId) === undefined)) {
      throw poolError('NODE_AWAY', { job: request.jobId })
    }
    for (const view of ordered) {
      let first = view === failing
      for await (const piece of this.#task(view, request, context.signal)) {
        yield { ...piece, firstFailing: first }
        first = false
      }
    }
  }

  /** The log of one task as far as it is there now. */
  async *#task(
    view: ExecutionView,
    request: ReadLogsRequest,
    signal: AbortSignal,
  ): AsyncGenerator<ReadLogsResponse> {
    const session = this.#hub.sessionOf(view.nodeId)
    if (session === undefined) {
      yield noteOf(view, `node ${view.nodeId} is away; this log cannot be read now`)
      return
    }
    const cutter = new LineCutter()
    const query = { key: view.key, tailLines: request.tailLines, follow: false, signal }
    try {
      for await (const data of session.logs.read(query)) {
        const lines = cutter.add(data)
        if (lines.byteLength > 0) yield pieceOf(view, lines)
      }
    } catch (error) {
      yield noteOf(view, messageOf(error))
    }
    const rest = cutter.flush()
    if (rest.byteLength > 0) yield pieceOf(view, rest)
  }

  /** All tasks at once, through all generations, until the job's gangs are finished. */
  async *#follow(request: ReadLogsRequest, context: CallContext): AsyncGenerator<ReadLogsResponse> {
    const first = await this.#look(request, context)
    const newest = newestOf(first.executions)
    const funnel = new Funnel<ReadLogsResponse>(PIECES_MAX)
    const stopped = new AbortController()
    const onAbort = (): void => {
      stopped.abort()
      funnel.end()
    }
    context.signal.addEventListener('abort', onAbort, { once: true })
    // A replica that comes later is followed from its first generation on.
    const inGeneration = ({ key }: ExecutionView) =>
      request.generation === 0
        ? key.generation >= (newest.get(key.gang) ?? 1)
        : key.generation === request.generation
    const follower = new Follower({ hub: this.#hub, funnel, request, signal: stopped.signal })
    const watching = this.#watch(request, context, { follower, inGeneration, stopped, funnel })
    try {
      yield* funnel.items()
    } finally {
      context.signal.removeEventListener('abort', onAbort)
      stopped.abort()
      await watching
    }
  }

  async #watch(
    request: ReadLogsRequest,
    context: CallContext,
    run: {
      readonly follower: Follower
      readonly inGeneration: (view: ExecutionView) => boolean
      readonly stopped: AbortController
      readonly funnel: Funnel<ReadLogsResponse>
    },
  ): Promise<void> {
    const { follower, inGeneration, stopped, funnel } = run
    try {
      while (!stopped.signal.aborted) {
        const seen = this.#hub.changes.version
        // Its nodes go to the next leader, and so must the reader.
        await this.#hub.requireLeading()
        const view = await this.#look(request, context)
        const wanted = view.executions.filter(inGeneration)
        for (const each of wanted) follower.follow(each)
        const over = wanted.every(({ phase }) => phase === 'Exited' || phase === 'Freed')
        if (view.finished || (request.generation > 0 && over && wanted.length > 0)) break
        await this.#hub.changes.after(seen, stopped.signal)
      }
      await follower.done()
      funnel.end()
    } catch (error) {
      funnel.end(error)
    }
  }
}
