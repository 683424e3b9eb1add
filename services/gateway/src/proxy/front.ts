import {
  createServer as createHttp1,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import {
  createServer as createHttp2,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RpcError } from '@serverless-ai/kernel'
import { httpStatusOf, type RefusalReason, rpcError } from '@serverless-ai/rpc'
import { errorBody } from './errors.ts'
import { Exchange } from './exchange.ts'

/** An idle connection is closed after this, ms. */
const IDLE_MS = 75_000
/** Longest wait for the first byte of a new connection, ms. */
const FIRST_BYTE_MS = 30_000
/** A refused caller may leave its end of the connection open so long, ms. */
const LINGER_MS = 2_000
const HEAD_MAX_BYTES = 16_384
/**
 * Connections that the system may hold until they are accepted (Linux takes at most somaxconn):
 * more than that are reset, and their callers never hear a code.
 */
const BACKLOG = 4_096
/** Requests of one HTTP/2 connection that run at once. */
const STREAMS_MAX = 256
/** How HTTP/2 begins: no method of HTTP/1.1 does. */
const PREFACE = Buffer.from('PRI * HTTP/2.0')
const NOTHING = Buffer.alloc(0)

export interface FrontInit {
  readonly host: string
  readonly port: number
  readonly connectionsMax: number
  /** Time in which the head of a request has to be there, ms. */
  readonly callerHeadMs: number
  /** Time in which the whole of an HTTP/1.1 request has to be there, ms. */
  readonly requestMs: number
  readonly onExchange: (exchange: Exchange) => void
}

/** Where callers connect: HTTP/1.1 and HTTP/2 without TLS on one port. */
export class Front {
  readonly #init: FrontInit
  readonly #http1: Server
  readonly #http2: Http2Server
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  /** What was asked last on a connection of HTTP/1.1. */
  readonly #asked = new WeakMap<Duplex, Exchange>()

  constructor(init: FrontInit) {
    this.#init = init
    this.#http1 = this.#openHttp1()
    this.#http2 = this.#openHttp2()
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size
  }

  /** Answers the port. @throws the system's error, for example `EADDRINUSE` */
  listen(): Promise<number> {
    const { host, port } = this.#init
    return new Promise((resolve, reject) => {
      this.#http1.once('error', reject)
      this.#http1.listen(port, host, BACKLOG, () => {
        const address = this.#http1.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  }

  /** No new connections; idle ones are closed, the others when their requests are over. */
  drain(): void {
    // Idle connections of HTTP/1.1 are closed with it.
    this.#http1.close()
    this.#http1.closeIdleConnections()
    for (const session of this.#sessions) if (!session.closed) session.close()
  }

  /** Ends all connections. */
  close(): void {
    this.drain()
    for (const socket of this.#sockets) socket.destroy()
  }

  #openHttp1(): Server {
    const server = createHttp1({
      maxHeaderSize: HEAD_MAX_BYTES,
      headersTimeout: this.#init.callerHeadMs,
      requestTimeout: this.#init.requestMs,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: Math.ceil(this.#init.callerHeadMs / 4),
      insecureHTTPParser: false,
      // The router asks for it: the parser's refusal has no code.
      requireHostHeader: false,
    })
    // Lines above the limit would be left out silently; they are counted and refused instead.
    server.maxHeadersCount = 0
    server.timeout = 0
    server.maxConnections = this.#init.connectionsMax
    // It listens itself, because its time limits count only for connections of its own port; what
    // it does with a connection waits until the protocol is known.
    const begin = server.listeners('connection')
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) =>
      this.#accept(socket, () => {
        for (const each of begin) each.call(server, socket)
      }),
    )
    const take = (request: IncomingMessage, response: ServerResponse, awaitsContinue = false) => {
      const exchange = new Exchange(request, response, { awaitsContinue })
      this.#asked.set(request.socket, exchange)
      this.#init.onExchange(exchange)
    }
    server.on('request', take)
    server.on('checkContinue', (request, response) => take(request, response, true))
    server.on('checkExpectation', take)
    server.on('clientError', (cause, socket) => this.#refuseMalformed(cause, socket))
    // Nobody is connected through; without this the connection would end without a word.
    server.on('connect', (_, socket) => refuse(socket, rpcError('METHOD_NOT_ALLOWED')))
    return server
  }

  #openHttp2(): Http2Server {
    const server = createHttp2({
      maxSessionMemory: 10,
      maxHeaderListPairs: 128,
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: 100,
      settings: {
        enablePush: false,
        maxConcurrentStreams: STREAMS_MAX,
        maxHeaderListSize: HEAD_MAX_BYTES,
      },
    })
    const take = (request: Http2ServerRequest, response: Http2ServerResponse) =>
      this.#init.onExchange(new Exchange(request, response))
    server.on('request', take)
    server.on('connect', take)
    server.on('session', (session) => {
      this.#sessions.add(session)
      session.on('error', () => undefined)
      session.setTimeout(IDLE_MS, () => session.close())
      session.once('close', () => this.#sessions.delete(session))
    })
    server.on('sessionError', () => undefined)
    return server
  }

  /** What the parser does not take is answered once, unless an answer is on its way: it is cut. */
  #refuseMalformed(cause: Error, socket: Duplex): void {
    const code: unknown = Reflect.get(cause, 'code')
    const asked = this.#asked.get(socket)
    const within = asked?.answered === true && !asked.closed
    if (code === 'ECONNRESET' || within) return void socket.destroy()
    refuse(socket, rpcError(CODES[String(code)] ?? 'REQUEST_MALFORMED'))
  }

  #accept(socket: Socket, beginHttp1: () => void): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.setTimeout(FIRST_BYTE_MS, () => socket.destroy())
    socket.once('readable', () => this.#tell(socket, beginHttp1, NOTHING))
  }

  /**
   * The first byte tells the protocol, except for a method with P. Bytes that tell nothing yet are
   * kept here: given back to the socket they would be readable again at once, for ever.
   */
  #tell(socket: Socket, beginHttp1: () => void, before: Buffer): void {
    const piece: Buffer | null = socket.read()
    const first = piece === null ? before : Buffer.concat([before, piece])
    const length = Math.min(first.length, PREFACE.length)
    const same = first.subarray(0, length).equals(PREFACE.subarray(0, length))
    if (same && length < PREFACE.length) {
      if (socket.readableEnded) return
      socket.once('readable', () => this.#tell(socket, beginHttp1, first))
      return
    }
    socket.unshift(first)
    socket.removeAllListeners('timeout')
    socket.setTimeout(0)
    if (same) this.#http2.emit('connection', socket)
    else beginHttp1()
  }
}

const CODES: Readonly<Record<string, RefusalReason>> = {
  HPE_HEADER_OVERFLOW: 'TOO_MANY_HEADERS',
  ERR_HTTP_REQUEST_TIMEOUT: 'CALLER_TOO_SLOW',
}

/** Answers where there is no exchange, and ends the connection. */
function refuse(socket: Duplex, error: RpcError): void {
  if (!socket.writable || socket.destroyed) return
  const body = errorBody(error, 'google')
  const status = httpStatusOf(error)
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
  // No server looks after it any more, and the caller may never end its side.
  if (socket instanceof Socket) socket.setTimeout(LINGER_MS, () => socket.destroy())
}
