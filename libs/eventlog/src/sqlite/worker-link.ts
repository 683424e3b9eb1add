import { Worker } from 'node:worker_threads'
import { LogOpenError } from '../port.ts'
import type { FromWorker, PartitionRange, Reply, ToWorker, WorkerSettings } from './protocol.ts'

/** Requests to the worker and their replies. */
export interface WorkerLink {
  /** Sends a request under an id of its own; resolves with its reply, whatever it says. */
  request(request: ToWorker, transfer?: readonly ArrayBuffer[]): Promise<Reply>
  /** Lets the worker finish what it has, fold the WAL and end. */
  close(): Promise<void>
}

/**
 * The built worker runs as it is; from sources it resolves the workspace's packages by their
 * sources too.
 */
function newWorker(settings: WorkerSettings): Worker {
  const fromSource = import.meta.url.endsWith('.ts')
  const url = new URL(fromSource ? './worker.ts' : './worker.js', import.meta.url)
  const execArgv = fromSource ? ['--conditions=sai-source'] : []
  return new Worker(url, { workerData: settings, execArgv, name: 'event-log' })
}

class Link implements WorkerLink {
  readonly #worker: Worker
  readonly #pending = new Map<number, { append: boolean; resolve: (reply: Reply) => void }>()
  readonly #ended: Promise<void>
  #lastId = 0
  #gone = ''

  constructor(worker: Worker) {
    this.#worker = worker
    this.#ended = new Promise((resolve) => worker.once('exit', () => resolve()))
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'replies') for (const reply of message.replies) this.#settle(reply)
    })
    worker.on('error', (error: Error) => this.#fail(`the log's thread failed: ${error.message}`))
    worker.on('exit', () => this.#fail("the log's thread has ended"))
  }

  #settle(reply: Reply): void {
    const waiting = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    waiting?.resolve(reply)
  }

  /** Nobody knows how far the appends came; everything after is refused. */
  #fail(message: string): void {
    if (this.#gone === '') this.#gone = message
    for (const [id, { append }] of this.#pending) {
      this.#settle(
        append ? { type: 'unknown', id, message } : { type: 'refused', id, code: 'IO', message },
      )
    }
  }

  request(request: ToWorker, transfer: readonly ArrayBuffer[] = []): Promise<Reply> {
    this.#lastId += 1
    const id = this.#lastId
    if (this.#gone !== '') {
      return Promise.resolve({ type: 'refused', id, code: 'IO', message: this.#gone })
    }
    return new Promise((resolve) => {
      this.#pending.set(id, { append: request.type === 'append', resolve })
      this.#worker.postMessage({ ...request, id }, transfer)
    })
  }

  async close(): Promise<void> {
    await this.request({ type: 'close', id: 0 })
    await this.#ended
  }
}

/** Starts the worker and waits until it has opened the file. Rejects with {@link LogOpenError}. */
export function startWorker(
  settings: WorkerSettings,
): Promise<{ link: WorkerLink; partitions: readonly PartitionRange[] }> {
  const worker = newWorker(settings)
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (message: FromWorker) => {
      worker.off('error', reject)
      if (message.type === 'opened') {
        resolve({ link: new Link(worker), partitions: message.partitions })
      } else if (message.type === 'openFailed') {
        worker.once('exit', () =>
          reject(new LogOpenError(message.code, message.path, message.message)),
        )
      }
    })
  })
}
