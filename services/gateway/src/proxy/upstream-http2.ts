import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { Readable } from 'node:stream'
import type { Timer, Timers } from '@serverless-ai/kernel'
import type {
  FailureKind,
  Upstream,
  UpstreamCall,
  UpstreamListener,
  UpstreamRequest,
} from './upstream.ts'

/** Longest wait for a connection, ms. */
const CONNECT_MS = 2_000

/** A connection with what it takes. */
interface Session {
  readonly session: ClientHttp2Session
  /** The preface was answered. */
  connected: boolean
  streams: number
}

/** One request. */
class Call implements UpstreamCall {
  readonly #stream: ClientHttp2Stream
  readonly #listener: UpstreamListener
  readonly #timers: Timers
  readonly #request: UpstreamRequest
  readonly #session: Session
  #timer: Timer | undefined
  #over = false
  #head = false
  #trailers: Record<string, string> = {}

  constructor(init: {
    stream: ClientHttp2Stream
    listener: UpstreamListener
    timers: Timers
    request: UpstreamRequest
    session: Session
  }) {
    this.#stream = init.stream
    this.#listener = init.listener
    this.#timers = init.timers
    this.#request = init.request
    this.#session = init.session
    this.#session.streams += 1
    this.#stream.once('close', () => {
      this.#session.streams -= 1
    })
    this.#follow()
    this.#sendBody()
  }

  resume(): void {
    if (this.#over) return
    this.#expectMore()
    this.#stream.resume()
  }

  cancel(): void {
    if (this.#over) return
    this.#finish()
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #follow(): void {
    const stream = this.#stream
    stream.on('response', (headers: IncomingHttpHeaders & { ':status'?: number }) => {
      if (this.#over) return
      this.#head = true
      this.#expectMore()
      this.#listener.head(headers[':status'] ?? 502, headers)
    })
    stream.on('data', (piece: Buffer) => {
      if (this.#over) return
      this.#timer?.cancel()
      if (this.#listener.piece(piece)) this.#expectMore()
      else stream.pause()
    })
    stream.on('trailers', (trailers: IncomingHttpHeaders) => {
      for (const [name, value] of Object.entries(trailers)) {
        if (typeof value === 'string' && !name.startsWith(':')) this.#trailers[name] = value
      }
    })
    stream.on('end', () => {
      if (this.#over || !this.#head || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return
      this.#finish()
      this.#listener.ended(this.#trailers)
    })
    stream.on('error', () => undefined)
    stream.on('close', () => {
      const code = stream.rstCode
      const kind: FailureKind =
        !this.#session.connected || stream.sentHeaders === undefined
          ? 'UNREACHABLE'
          : code === constants.NGHTTP2_REFUSED_STREAM
            ? 'REFUSED'
            : code === constants.NGHTTP2_PROTOCOL_ERROR
              ? 'WRONG'
              : 'BROKEN'
      this.#fail(kind, `the stream was reset with code ${code}`)
    })
  }

  #sendBody(): void {
    const { body } = this.#request
    if (body === undefined || Buffer.isBuffer(body)) {
      this.#stream.end(body)
      return
    }
    const send = (): void => {
      if (this.#over) return
      const source = Readable.from(body, { objectMode: false })
      source.once('error', () => this.#stream.close(constants.NGHTTP2_CANCEL))
      source.pipe(this.#stream)
    }
    // Not a byte is taken before there is somebody to take it: it may have to go elsewhere.
    if (this.#session.connected) send()
    else this.#session.session.once('connect', send)
  }

  #expectMore(): void {
    this.#timer?.cancel()
    const { silenceMs } = this.#request
    this.#timer = this.#timers.after(silenceMs, () => {
      this.#fail('SILENT', `nothing came for ${silenceMs} ms`)
      this.#stream.close(constants.NGHTTP2_CANCEL)
    })
  }

  #fail(kind: FailureKind, why: string): void {
    if (this.#over) return
    this.#finish()
    this.#listener.failed(kind, why)
  }

  #finish(): void {
    this.#over = true
    this.#timer?.cancel()
  }
}

/** A replica that speaks HTTP/2 without TLS: one connection for all requests. */
export function openHttp2(address: string, timers: Timers): Upstream {
  let current: Session | undefined
  const session = (): Session => {
    if (current !== undefined && !current.session.closed && !current.session.destroyed) {
      return current
    }
    const fresh: Session = {
      session: connect(`http://${address}`, { settings: { enablePush: false } }),
      connected: false,
      streams: 0,
    }
    const late = timers.after(CONNECT_MS, () => fresh.session.destroy())
    fresh.session.once('connect', () => {
      fresh.connected = true
      late.cancel()
    })
    fresh.session.on('error', () => undefined)
    fresh.session.once('close', () => late.cancel())
    // What was sent before is answered; new requests need another connection.
    fresh.session.once('goaway', () => {
      if (current === fresh) current = undefined
      if (!fresh.session.closed) fresh.session.close()
    })
    current = fresh
    return fresh
  }
  return {
    send(request, listener) {
      const to = session()
      const { method, target, headers, body } = request
      const stream = to.session.request(
        { ':method': method, ':path': target, ':authority': address, ...headers },
        { endStream: body === undefined },
      )
      return new Call({ stream, listener, timers, request, session: to })
    },
    close() {
      current?.session.close()
    },
  }
}
