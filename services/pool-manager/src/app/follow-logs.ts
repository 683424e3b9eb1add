import type { ReadLogsRequest, ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { RpcError } from '@serverless-ai/kernel'
import { executionKey } from '../core/model.ts'
import type { AgentHub } from './agent-hub.ts'
import type { Funnel } from './funnel.ts'
import type { ExecutionView } from './job-view.ts'
import { LineCutter } from './line-cutter.ts'
import { messageOf, noteOf, pieceOf } from './log-pieces.ts'
import type { LogStreams } from './log-streams.ts'

/** Tasks of a job that are followed at once. */
const FOLLOWED_TASKS_MAX = 256

/** Follows tasks, each on its own, into one funnel. */
export class Follower {
  readonly #hub: AgentHub
  readonly #funnel: Funnel<ReadLogsResponse>
  readonly #request: ReadLogsRequest
  readonly #signal: AbortSignal
  readonly #views = new Map<string, ExecutionView>()
  readonly #running = new Set<Promise<void>>()

  constructor(init: {
    hub: AgentHub
    funnel: Funnel<ReadLogsResponse>
    request: ReadLogsRequest
    signal: AbortSignal
  }) {
    this.#hub = init.hub
    this.#funnel = init.funnel
    this.#request = init.request
    this.#signal = init.signal
  }

  /** Starts to follow a task, or renews what is known of one that is followed. */
  follow(view: ExecutionView): void {
    const id = executionKey(view.key)
    const known = this.#views.has(id)
    if (!known && this.#running.size >= FOLLOWED_TASKS_MAX) return
    this.#views.set(id, view)
    if (known) return
    const pump = this.#pump(id).finally(() => this.#running.delete(pump))
    this.#running.add(pump)
  }

  /** Resolves when all followed logs have ended. */
  async done(): Promise<void> {
    while (this.#running.size > 0 && !this.#signal.aborted) {
      await Promise.race([...this.#running, aborted(this.#signal)])
    }
  }

  async #pump(id: string): Promise<void> {
    let delivered = 0
    let told = false
    while (!this.#signal.aborted) {
      const seen = this.#hub.changes.version
      const view = this.#views.get(id)
      if (view === undefined) return
      const session = this.#hub.sessionOf(view.nodeId)
      if (session === undefined) {
        if (!told) {
          const note = `node ${view.nodeId} is away; its log goes on here when it is back`
          await this.#funnel.put(noteOf(view, note))
          told = true
        }
        const over = view.phase === 'Exited' || view.phase === 'Freed' || view.nodeLost
        if (over) return
        await this.#hub.changes.after(seen, this.#signal)
        continue
      }
      const outcome = await this.#copy(view, session.logs, delivered)
      delivered = outcome.delivered
      if (outcome.ended) return
    }
  }

  /**
   * Copies a log to the funnel; what an earlier stream has brought is skipped. A log that is read
   * from a tail on starts with that tail again: where it began in the whole log is not known.
   */
  async #copy(
    view: ExecutionView,
    logs: LogStreams,
    skip: number,
  ): Promise<{ readonly ended: boolean; readonly delivered: number }> {
    const cutter = new LineCutter()
    const { tailLines } = this.#request
    let toSkip = tailLines > 0 ? 0 : skip
    let delivered = toSkip
    const query = { key: view.key, tailLines, follow: true, signal: this.#signal }
    try {
      for await (const data of logs.read(query)) {
        const fresh = data.subarray(Math.min(toSkip, data.byteLength))
        toSkip -= data.byteLength - fresh.byteLength
        const lines = cutter.add(fresh)
        if (lines.byteLength === 0) continue
        delivered += lines.byteLength
        await this.#funnel.put(pieceOf(view, lines))
      }
    } catch (error) {
      if (error instanceof RpcError && error.reason === 'NODE_AWAY') {
        return { ended: false, delivered }
      }
      await this.#funnel.put(noteOf(view, messageOf(error)))
    }
    const rest = cutter.flush()
    if (rest.byteLength > 0) await this.#funnel.put(pieceOf(view, rest))
    return { ended: true, delivered }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
