import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import { type EventLog, eventsTopic, openSnapshotDirectory } from '@serverless-ai/eventlog'
import { RpcError } from '@serverless-ai/kernel'
import { createGrpcServer, staticTokens } from '@serverless-ai/rpc'
import { createRuntime, type PublicEvent, type ServiceRuntime } from '@serverless-ai/runtime'
import { quietPorts } from '../../support/quiet-ports.ts'
import { type Change, type Changed, type Jobs, jobsService, SERVICE } from './jobs-core.ts'

export const TOKEN = 'of-a-consumer'

const onWire = (event: PublicEvent) => ({
  ...event,
  seq: BigInt(event.seq),
  atMs: BigInt(Math.trunc(event.atMs)),
  payload: Buffer.from(event.payload),
})

/** The service: one leader after the other on one log, behind one address. */
export class Leader {
  readonly #open: () => Promise<EventLog>
  readonly #directory = mkdtempSync(join(tmpdir(), 'sai-consumers-snapshots-'))
  readonly #server
  #log: EventLog | undefined
  #runtime: ServiceRuntime<Jobs, Change, Changed> | undefined
  address = ''

  /** `open` opens the log for each leader anew. */
  constructor(open: () => Promise<EventLog>) {
    this.#open = open
    const principal = { subject: 'token:consumer', tenant: '', roles: ['service'] }
    const authenticate = staticTokens([{ token: TOKEN, principal }])
    this.#server = createGrpcServer({ ...quietPorts, authenticate })
    this.#server.add(EventFeedServiceService, {
      getFeedSnapshot: async ({ types, pageSize, pageToken }) => {
        const page = await this.#leading.feedSnapshot({ types, pageSize, pageToken })
        return {
          events: page.events.map(onWire),
          seq: BigInt(page.seq),
          offset: BigInt(page.offset),
          nextPageToken: page.nextPageToken,
        }
      },
      watchFeed: (request, context) => this.#watch(Number(request.afterSeq), context.signal),
    })
  }

  async start(): Promise<void> {
    this.address = await this.#server.listen('127.0.0.1:0')
    await this.lead()
  }

  get #leading(): ServiceRuntime<Jobs, Change, Changed> {
    if (this.#runtime !== undefined) return this.#runtime
    throw new RpcError({ code: 'UNAVAILABLE', reason: 'NOT_LEADING', message: 'nobody leads' })
  }

  async *#watch(afterSeq: number, signal: AbortSignal) {
    const until = AbortSignal.any([signal, this.#server.stopping])
    const batches = this.#leading.watchFeed(afterSeq, until)
    for await (const events of batches) yield { events: events.map(onWire) }
  }

  /** Another leader takes over: a runtime of its own on a log of its own. */
  async lead(): Promise<void> {
    const eventLog = await this.#open()
    const snapshots = openSnapshotDirectory({ directory: this.#directory, ports: quietPorts })
    const feed = () => Promise.reject(new Error('there are no inputs'))
    const here = { replica: 'r', address: this.address, partition: 0 }
    const runtime = createRuntime(jobsService, { eventLog, snapshots, feed, ...here }, quietPorts)
    await runtime.start()
    this.#log = eventLog
    this.#runtime = runtime
  }

  /** The leader dies: whatever it was about to do does not happen. */
  async crash(): Promise<void> {
    const [log, runtime] = [this.#log, this.#runtime]
    this.#runtime = undefined
    await log?.close()
    // It cannot write any more; that it ends in order is of no interest.
    void runtime?.stop().catch(() => undefined)
  }

  async change(jobs: Change['jobs']): Promise<void> {
    const answer = await this.#leading.execute({ type: 'Change', jobs })
    if (!answer.ok) throw new Error(`refused: ${answer.refusal.reason}`)
  }

  /** Numbers of the last event that is committed, and of the last that is published. */
  seqs(): { readonly committed: number; readonly published: number } {
    const { publicSeq, publishedSeq } = this.#leading.status()
    return { committed: publicSeq, published: publishedSeq }
  }

  /** Retention: all public events but the last `keep` records are gone. */
  async expire(keep: number): Promise<void> {
    const address = { topic: eventsTopic(SERVICE), partition: 0 }
    const { start, end } = await this.#log!.range(address)
    await this.#log!.trim(address, Math.max(start, end - keep))
  }

  async close(): Promise<void> {
    await this.#runtime?.stop()
    await this.#log?.close()
    await this.#server.close(0)
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
