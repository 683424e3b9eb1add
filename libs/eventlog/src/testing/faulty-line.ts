/** A network between a client and Kafka brokers that fails in the ways a network can. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { Randomness, Timers } from '@serverless-ai/kernel'
import type { Dial } from '../kafka/kafkajs-socket.ts'

/**
 * What becomes of a request that writes. `lost`: it never arrives and the connection breaks;
 * `unanswered`: it arrives, the connection breaks before the answer; `late`: the connection breaks,
 * and it arrives afterwards; `twice`: it arrives two times.
 */
export type WriteFate = 'ok' | 'lost' | 'unanswered' | 'late' | 'twice'

/** Shares of the fates, from 0 to 1; the rest goes well. */
export type FateShares = Readonly<Partial<Record<Exclude<WriteFate, 'ok'>, number>>>

const PRODUCE = 0
/** A late request arrives this much after its connection broke, at most, ms. */
const LATE_MAX_MS = 60

/** Splits a stream into Kafka's frames: four bytes of length before each. */
class Frames {
  #rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const frames: Buffer[] = []
    while (this.#rest.byteLength >= 4) {
      const length = 4 + this.#rest.readInt32BE(0)
      if (this.#rest.byteLength < length) break
      frames.push(this.#rest.subarray(0, length))
      this.#rest = this.#rest.subarray(length)
    }
    return frames
  }
}

/** Stands between a client, by its {@link FaultyLine.dial}, and the brokers. */
export class FaultyLine {
  readonly #timers: Timers
  readonly #servers = new Map<string, Server>()
  readonly #sockets = new Set<Socket>()
  /** Drawn for each request that writes. */
  fate: () => WriteFate = () => 'ok'
  /** While true nothing passes in either direction and no connection is taken. */
  #cut = false

  private constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Stands before the brokers, whose advertised addresses must be these. */
  static async start(brokers: readonly string[], timers: Timers): Promise<FaultyLine> {
    const line = new FaultyLine(timers)
    for (const broker of brokers) {
      const [host = '', port = ''] = broker.split(':')
      const server = createServer((socket) => line.#serve(socket, { host, port: Number(port) }))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      line.#servers.set(broker, server)
    }
    return line
  }

  /** Where the client connects to. */
  readonly dial: Dial = ({ host, port }) => {
    const address = this.#servers.get(`${host}:${port}`)?.address()
    if (address === undefined || address === null) throw new Error(`no line to ${host}:${port}`)
    return { host: '127.0.0.1', port: (address as AddressInfo).port }
  }

  /** Connections of clients and to brokers that are open. */
  get open(): number {
    return this.#sockets.size
  }

  /** Draws the fates by chance from now on. */
  drawFates(shares: FateShares, randomness: Randomness): void {
    this.fate = () => {
      let x = randomness.float()
      for (const fate of ['lost', 'unanswered', 'late', 'twice'] as const) {
        x -= shares[fate] ?? 0
        if (x < 0) return fate
      }
      return 'ok'
    }
  }

  /** Breaks every connection; new ones are refused until `mend`. */
  cut(): void {
    this.#cut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  mend(): void {
    this.#cut = false
  }

  async close(): Promise<void> {
    this.cut()
    const servers = [...this.#servers.values()]
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#sockets.delete(socket))
  }

  #serve(client: Socket, to: { host: string; port: number }): void {
    if (this.#cut) {
      client.destroy()
      return
    }
    const broker = connect(to)
    this.#keep(client)
    this.#keep(broker)
    const frames = new Frames()
    client.on('data', (chunk) => {
      for (const frame of frames.take(chunk)) this.#pass(frame, client, broker)
    })
    broker.on('data', (chunk) => {
      if (!client.destroyed) client.write(chunk)
    })
    client.on('end', () => broker.end())
    broker.on('close', () => client.destroy())
  }

  #pass(frame: Buffer, client: Socket, broker: Socket): void {
    if (client.destroyed) return
    const fate = frame.readInt16BE(4) === PRODUCE ? this.fate() : 'ok'
    if (fate !== 'lost' && fate !== 'late') broker.write(frame)
    if (fate === 'ok') return
    if (fate === 'twice') {
      broker.write(frame)
      return
    }
    // The broker's side stays open, so that what was sent, or is sent late, is served to its end.
    client.destroy()
    broker.removeAllListeners('close')
    broker.on('close', () => this.#sockets.delete(broker))
    if (fate === 'lost') broker.destroy()
    if (fate === 'late') {
      const copy = Buffer.from(frame)
      this.#timers.after(1 + Math.random() * LATE_MAX_MS, () => broker.end(copy))
    }
    if (fate === 'unanswered') broker.once('data', () => broker.end())
  }
}
