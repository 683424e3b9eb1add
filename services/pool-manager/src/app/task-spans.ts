import type { Span, TraceContext, Tracer } from '@serverless-ai/kernel'
import type { PoolEvent } from '../core/messages.ts'
import { type ExecutionKey, executionKey, type TaskExit } from '../core/model.ts'
import { findGang, type PoolState } from '../core/state.ts'
import type { PoolRuntime } from './definition.ts'

/** Ranks of a gang that have a span of their own; the others share that of their launch. */
const RANKS_MAX = 64
/** Spans of tasks that run; the oldest is ended for one too many. */
const SPANS_MAX = 10_000

/** Why a task did not end well; undefined = it did. */
function failureOf({ cause, exitCode, signal }: TaskExit): string | undefined {
  if (cause !== 'EXITED') return cause
  if (signal !== '') return signal
  return exitCode === 0 ? undefined : `exit code ${exitCode}`
}

type SpanRuntime = Pick<PoolRuntime, 'onEffective' | 'onLeadership' | 'traceOf'>

/**
 * A span for each run of a task whose job is traced, from its assignment to its end. Its context is
 * what the task finds as `TRACEPARENT`. Volatile: another leader does not know the spans, and goes
 * on with the trace alone.
 */
export class TaskSpans {
  readonly #tracer: Tracer
  readonly #runtime: SpanRuntime
  readonly #open = new Map<string, Span>()
  #unsubscribe: (() => void)[] = []
  #leading = false

  constructor(tracer: Tracer, runtime: SpanRuntime) {
    this.#tracer = tracer
    this.#runtime = runtime
  }

  /** Before anyone who sends assignments listens, so that their spans are there. */
  start(): void {
    this.#unsubscribe = [
      this.#runtime.onLeadership((leading) => {
        this.#leading = leading
        if (!leading) this.#endAll()
      }),
      this.#runtime.onEffective(({ events, state, replaying }) => {
        if (replaying || !this.#leading) return
        for (const event of events) this.#take(event, state)
      }),
    ]
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#endAll()
  }

  /** What a task is to find as its parent; undefined = its job is in no trace that is known. */
  contextOf(key: ExecutionKey): TraceContext | undefined {
    return this.#open.get(executionKey(key))?.context ?? this.#runtime.traceOf(key.jobId)
  }

  #take(event: PoolEvent, state: PoolState): void {
    if (event.type === 'TaskExited') {
      this.#end(executionKey(event.key), failureOf(event.exit))
    } else if (event.type === 'RanksAssigned') {
      const parent = this.#runtime.traceOf(event.jobId)
      if (parent === undefined) return
      const membership = findGang(state, event)?.memberships.get(event.generation)
      for (const execution of membership?.executions.slice(0, RANKS_MAX) ?? []) {
        this.#begin(execution, parent)
      }
    }
  }

  #begin(execution: ExecutionKey & { readonly nodeId: string }, parent: TraceContext): void {
    const { jobId, gang, generation, rank, nodeId } = execution
    const attributes = {
      'sai.service': 'pool-manager',
      'sai.job': jobId,
      'sai.gang': gang,
      'sai.generation': generation,
      'sai.rank': rank,
      'sai.node': nodeId,
    }
    const key = executionKey(execution)
    this.#end(key, 'assigned again')
    this.#open.set(key, this.#tracer.start('task', { parent, attributes }))
    if (this.#open.size <= SPANS_MAX) return
    const [oldest] = this.#open.keys()
    if (oldest !== undefined) this.#end(oldest, 'too many tasks run to follow them all')
  }

  #endAll(): void {
    for (const key of [...this.#open.keys()]) this.#end(key, 'this replica follows it no longer')
  }

  #end(key: string, error: string | undefined): void {
    this.#open.get(key)?.end(error === undefined ? {} : { error })
    this.#open.delete(key)
  }
}
