import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { EXIT, messageOf, WorkloadError } from './errors.ts'

/** What a frame carries. */
export const FRAME = {
  /** JSON: who I am. */
  hello: 1,
  /** JSON: the members of the gang, by rank. */
  members: 2,
  /** JSON: why the hello was refused. */
  refused: 3,
  /** Numbers of one hop of the all-reduce, 64-bit little-endian floats. */
  data: 4,
  /** JSON: a rank was lost; sent on to the neighbours before leaving. */
  fault: 5,
  /** Nothing: the sender has finished, what follows is an orderly end. */
  bye: 6,
} as const

export interface Frame {
  /** One of {@link FRAME}. */
  readonly kind: number
  /** Counts up from 0 per sender for data frames, else 0. */
  readonly sequence: number
  readonly payload: Buffer
}

const HEADER_BYTES = 12
/** 8 Mi parameters; far more than the largest model here, and a bound for a stranger's bytes. */
const PAYLOAD_MAX_BYTES = 64 * 1024 * 1024

export interface FrameHandlers {
  onFrame(frame: Frame): void
  /** Once, when no more frames will come: after an end, a reset or a malformed frame. */
  onClose(reason: string): void
}

/** Cuts a byte stream into frames: kind, sequence and length as 32-bit little-endian, payload. */
export class FrameSocket {
  readonly #socket: Socket
  #pending: Buffer = Buffer.alloc(0)
  #handlers: FrameHandlers | undefined
  #closed: string | undefined

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true)
    socket.pause()
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('end', () => this.#close('connection ended'))
    socket.on('error', (error) => this.#close(messageOf(error)))
    socket.on('close', () => this.#close('connection closed'))
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '127.0.0.1'
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? '127.0.0.1'
  }

  /** Starts reading; replaces earlier handlers. Frames wait in the socket until then. */
  handle(handlers: FrameHandlers): void {
    this.#handlers = handlers
    this.#take(Buffer.alloc(0))
    if (this.#closed !== undefined) this.#handlers?.onClose(this.#closed)
    else if (this.#handlers !== undefined) this.#socket.resume()
  }

  /** Stops reading, so that the next `handle` misses nothing. */
  pause(): void {
    this.#handlers = undefined
    this.#socket.pause()
  }

  send(kind: number, payload: Uint8Array, sequence = 0): void {
    if (this.#socket.writableEnded || this.#socket.destroyed) return
    const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.byteLength)
    frame.writeUInt32LE(kind, 0)
    frame.writeUInt32LE(sequence, 4)
    frame.writeUInt32LE(payload.byteLength, 8)
    // A copy: the caller goes on to change the numbers while these bytes may still be queued.
    frame.set(payload, HEADER_BYTES)
    this.#socket.write(frame)
  }

  sendJson(kind: number, value: unknown): void {
    this.send(kind, Buffer.from(JSON.stringify(value)))
  }

  /**
   * Ends the own direction and goes on reading until the other side ends too (or `lingerMs` is
   * over), so that nothing it still sends is answered by a reset that would overtake our bytes.
   */
  async end(lingerMs: number): Promise<void> {
    if (this.#socket.destroyed) return
    this.#socket.resume()
    this.#socket.end()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs)
      this.#socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
    })
    this.#socket.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    while (this.#pending.length >= HEADER_BYTES && this.#handlers !== undefined) {
      const length = this.#pending.readUInt32LE(8)
      if (length > PAYLOAD_MAX_BYTES) {
        this.#close(`a frame of ${length} bytes`)
        this.#socket.destroy()
        return
      }
      if (this.#pending.length < HEADER_BYTES + length) return
      const frame = this.#pending.subarray(0, HEADER_BYTES + length)
      this.#pending = this.#pending.subarray(HEADER_BYTES + length)
      this.#handlers.onFrame({
        kind: frame.readUInt32LE(0),
        sequence: frame.readUInt32LE(4),
        payload: frame.subarray(HEADER_BYTES),
      })
    }
  }

  #close(reason: string): void {
    if (this.#closed !== undefined) return
    this.#closed = reason
    this.#handlers?.onClose(reason)
  }
}

/** The next frame, or the reason why none came. Leaves the socket paused. */
export function nextFrame(socket: FrameSocket, timeoutMs: number): Promise<Frame | string> {
  return new Promise((resolve) => {
    const settle = (result: Frame | string) => {
      clearTimeout(timer)
      socket.pause()
      resolve(result)
    }
    const timer = setTimeout(() => settle(`nothing came within ${timeoutMs} ms`), timeoutMs)
    socket.handle({ onFrame: settle, onClose: settle })
  })
}

/** Reads a frame's JSON; undefined when it is none. */
export function jsonOf(frame: Frame): unknown {
  try {
    return JSON.parse(frame.payload.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Opens a connection; the promise is rejected with the system error. */
export function connect(address: { host: string; port: number }): Promise<FrameSocket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(address)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(new FrameSocket(socket))
    })
  })
}

/** A server of frame connections. `port` 0 lets the system choose. */
export function listen(
  address: { host: string; port: number },
  onConnection: (socket: FrameSocket) => void,
): Promise<{ server: Server; port: number }> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => onConnection(new FrameSocket(socket)))
    server.once('error', reject)
    server.listen(address.port, address.host, () => {
      server.off('error', reject)
      const bound = server.address()
      if (bound === null || typeof bound === 'string') {
        reject(new WorkloadError(EXIT.software, 'a TCP server without a port'))
      } else resolve({ server, port: bound.port })
    })
  })
}
