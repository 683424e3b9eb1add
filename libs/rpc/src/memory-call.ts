import type { CallOptions, RpcError, Timer, Timers } from '@serverless-ai/kernel'
import { rpcError } from './error-table.ts'
import type { Link, LinkedCall, Wire } from './memory-link.ts'
import type { Answers, CallHeader, MemoryServer, ServerEnd } from './memory-server.ts'
import type { AnyMethod } from './shape.ts'
import { decodeStatus, plainError } from './status.ts'

export type Target = { readonly address: string; readonly token?: string }

/** What a call needs of its transport. */
export interface Caller {
  readonly servers: ReadonlyMap<string, MemoryServer>
  readonly timers: Timers
  readonly link: Link
  /** Calls that run, each with what cancels it. */
  readonly open: Set<() => void>
}

const lost = (address: string) => plainError('UNAVAILABLE', `the connection to ${address} was lost`)
const refused = (address: string) =>
  rpcError('NOT_CONNECTED', { message: `NOT_CONNECTED: nobody serves ${address}` })

function headerOf(path: string, token: string | undefined, options: CallOptions): CallHeader {
  const metadata = new Map<string, string>()
  if (options.metadata !== undefined) {
    for (const [key, value] of Object.entries(options.metadata)) {
      metadata.set(key.toLowerCase(), value)
    }
  }
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
  return { path, metadata, timeoutMs: options.timeoutMs }
}

/** What both kinds of calls have in common: two ends and the wire between them. */
export abstract class MemoryCall implements LinkedCall, Answers {
  abstract readonly unary: boolean
  readonly address: string
  readonly path: string
  protected readonly caller: Caller
  protected readonly header: CallHeader
  readonly #signal: AbortSignal | undefined
  /** More than one where a request arrived twice. */
  readonly #servers: ServerEnd[] = []
  #wire: Wire | undefined
  #timer: Timer | undefined
  #over = false

  constructor(caller: Caller, method: AnyMethod, target: Target, options: CallOptions) {
    this.caller = caller
    this.address = target.address
    this.path = method.path
    this.header = headerOf(method.path, target.token, options)
    this.#signal = options.signal
  }

  /** Called with what the caller is to be told, once. */
  protected abstract settle(failure: RpcError | undefined, message?: Uint8Array): void
  protected abstract serve(server: MemoryServer): ServerEnd

  get over(): boolean {
    return this.#over
  }

  readonly cancel = (): void => {
    // An error is dear, and most calls are over when they are cancelled for good measure.
    if (!this.#over) this.#abandon(rpcError('CANCELLED'))
  }

  /** Ties the call to its signal and its deadline. */
  protected begin(): void {
    const { timers, open } = this.caller
    open.add(this.cancel)
    this.#signal?.addEventListener('abort', this.cancel, { once: true })
    const { timeoutMs } = this.header
    if (timeoutMs === undefined) return
    const expire = () => this.#abandon(rpcError('DEADLINE_EXCEEDED'))
    this.#timer = timers.after(timeoutMs, expire)
  }

  /** Sends the first message; where nobody listens that is all. */
  protected connect(bytes: number): void {
    const wire = this.caller.link.open(this)
    this.#wire = wire
    wire.toServer(bytes, () => {
      const server = this.caller.servers.get(this.address)
      if (server !== undefined) {
        this.#servers.push(this.serve(server))
        return
      }
      wire.toCaller(0, () => this.finish(refused(this.address)))
      wire.leave('server')
    })
  }

  /** Sends to the server's end, if there is a connection. */
  protected send(bytes: number, deliver: (server: ServerEnd) => void): void {
    this.#wire?.toServer(bytes, () => {
      for (const server of this.#servers) deliver(server)
    })
  }

  /** The caller waits no longer: the server is told. */
  #abandon(error: RpcError): void {
    if (this.#over) return
    this.send(0, (server) => server.cancel())
    this.finish(error)
  }

  protected finish(failure: RpcError | undefined, message?: Uint8Array): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#signal?.removeEventListener('abort', this.cancel)
    this.caller.open.delete(this.cancel)
    this.#wire?.leave('caller')
    this.settle(failure, message)
  }

  failCaller(): void {
    this.finish(lost(this.address))
  }

  failServer(): void {
    for (const server of this.#servers) server.cancel()
  }

  message(bytes: Uint8Array): void {
    this.#wire?.toCaller(bytes.byteLength, () => this.received(bytes))
  }

  end(message: Uint8Array | undefined, status: Uint8Array | undefined): void {
    const bytes = message?.byteLength ?? status?.byteLength ?? 0
    this.#wire?.toCaller(bytes, () => {
      this.finish(status === undefined ? undefined : decodeStatus(status), message)
    })
    this.#wire?.leave('server')
  }

  credit(messages: number): void {
    this.#wire?.toCaller(0, () => this.credited(messages))
  }

  protected received(_bytes: Uint8Array): void {}
  protected credited(_messages: number): void {}
}
