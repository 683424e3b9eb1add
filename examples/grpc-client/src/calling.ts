// The retry rules of the platform, spelt out. `@serverless-ai/client` has them built in; this is
// how a client in another language would do it.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Client,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { ErrorInfo, RetryInfo } from '@serverless-ai/contracts/google/rpc/error_details'
import { Status } from '@serverless-ai/contracts/google/rpc/status'
import { isServiceError } from './status-details.ts'

/** Where to call and as whom. */
export interface Replicas {
  /** `host:port` of each replica; any of them redirects to the leader. */
  readonly addresses: readonly string[]
  readonly token: string | undefined
}

/** What the server said besides code and text. */
interface Details {
  /** Stable reason, for example `NOT_LEADING`; empty = none was sent. */
  reason: string
  metadata: Readonly<Record<string, string>>
  /** Wait at least this long, ms. */
  retryAfterMs: number
}

const NOTHING: Readonly<Details> = { reason: '', metadata: {}, retryAfterMs: 0 }
const SILENCE_MS = 25_000
const FIRST_PAUSE_MS = 100
const PAUSE_MAX_MS = 2_000

/** Reasons after which the request was certainly not carried out: any call may be made again. */
const NOT_CARRIED_OUT: ReadonlySet<string> = new Set(['NOT_LEADING', 'STOPPING'])

/** A stream that should have sent a heartbeat did not. */
export class SilenceError extends Error {
  override readonly name = 'SilenceError'
  override readonly message = 'the stream fell silent'
}

/** Reads the `google.rpc` details in the trailer of a failed call. */
export function detailsOf(error: ServiceError): Readonly<Details> {
  const [bytes] = error.metadata.get('grpc-status-details-bin')
  const details: Details = { ...NOTHING }
  if (!(bytes instanceof Buffer)) return details
  for (const { typeUrl, value } of Status.decode(bytes).details) {
    if (typeUrl.endsWith('google.rpc.ErrorInfo')) {
      const { reason, metadata } = ErrorInfo.decode(value)
      details.reason = reason
      details.metadata = metadata
    } else if (typeUrl.endsWith('google.rpc.RetryInfo')) {
      const { retryDelay } = RetryInfo.decode(value)
      const { seconds = 0n, nanos = 0 } = retryDelay ?? {}
      details.retryAfterMs = Number(seconds) * 1_000 + nanos / 1e6
    }
  }
  return details
}

/** Calls the replica that leads, again where that is safe. Errors are gRPC's `ServiceError`. */
export class Caller {
  readonly #replicas: Replicas
  readonly #metadata = new Metadata()
  readonly #clients = new Map<string, Client>()
  #address: string

  constructor(replicas: Replicas) {
    const [first] = replicas.addresses
    if (first === undefined) throw new RangeError('at least one address is needed')
    this.#replicas = replicas
    this.#address = first
    if (replicas.token !== undefined) {
      this.#metadata.set('authorization', `Bearer ${replicas.token}`)
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }

  #client(): Client {
    const known = this.#clients.get(this.#address)
    if (known !== undefined) return known
    const client = new Client(this.#address, credentials.createInsecure())
    this.#clients.set(this.#address, client)
    return client
  }

  /**
   * One answer. `timeoutMs` is the time of all attempts together: each gets what is left of it as
   * its deadline. `repeatable`: reads, what is idempotent, and requests with a `request_id`.
   */
  async unary<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    options: { readonly timeoutMs: number; readonly repeatable: boolean },
  ): Promise<Res> {
    const deadline = Date.now() + options.timeoutMs
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#once(method, request, deadline)
      } catch (error) {
        const pauseMs = this.pauseAfter(error, { attempt, repeatable: options.repeatable })
        if (pauseMs === undefined || Date.now() + pauseMs >= deadline) throw error
        await sleep(pauseMs)
      }
    }
  }

  #once<Req, Res>(method: MethodDefinition<Req, Res>, request: Req, deadline: number) {
    const { path, requestSerialize: write, responseDeserialize: read } = method
    return new Promise<Res>((resolve, reject) => {
      const answered = (error: ServiceError | null, answer?: Res) => {
        if (answer === undefined) reject(error ?? new Error(`${path}: no answer`))
        else resolve(answer)
      }
      const call = [path, write, read, request, this.#metadata, { deadline }] as const
      this.#client().makeUnaryRequest(...call, answered)
    })
  }

  /**
   * Many answers. A stream has no deadline, but the server sends a heartbeat every 10 s: when it
   * falls silent for 25 s it is taken for lost ({@link SilenceError}). A stream that broke is the
   * caller's, who knows where to go on.
   */
  async *stream<Req, Res>(method: MethodDefinition<Req, Res>, request: Req): AsyncGenerator<Res> {
    const { path, requestSerialize: write, responseDeserialize: read } = method
    const call = this.#client().makeServerStreamRequest(path, write, read, request, this.#metadata)
    let silent = false
    const onSilence = (): void => {
      silent = true
      call.cancel()
    }
    let timer = setTimeout(onSilence, SILENCE_MS)
    try {
      for await (const message of call) {
        clearTimeout(timer)
        yield message
        timer = setTimeout(onSilence, SILENCE_MS)
      }
    } catch (error) {
      throw silent ? new SilenceError() : error
    } finally {
      clearTimeout(timer)
      call.cancel()
    }
  }

  /**
   * The rules. Only UNAVAILABLE is tried again: at once at the leader that `NOT_LEADING` names,
   * else at the next replica after a pause that doubles and is drawn by lot, at least as long as
   * the server asks.
   *
   * @returns undefined when there must be no other attempt
   */
  pauseAfter(
    error: unknown,
    about: { readonly attempt: number; readonly repeatable: boolean },
  ): number | undefined {
    const away = isServiceError(error) && error.code === status.UNAVAILABLE
    if (!away && !(error instanceof SilenceError)) return undefined
    const { reason, metadata, retryAfterMs } = away ? detailsOf(error) : NOTHING
    // The answer to a call that changes something may have been lost, not the call.
    if (!about.repeatable && !NOT_CARRIED_OUT.has(reason)) return undefined
    const leader = metadata['leaderAddress'] ?? ''
    if (reason === 'NOT_LEADING' && leader !== '' && leader !== this.#address) {
      this.#address = leader
      if (about.attempt === 1) return 0
    } else {
      const { addresses } = this.#replicas
      const next = (addresses.indexOf(this.#address) + 1) % addresses.length
      this.#address = addresses[next] ?? this.#address
    }
    const most = Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** (about.attempt - 1))
    return Math.max(retryAfterMs, most * (0.5 + Math.random() / 2))
  }
}
