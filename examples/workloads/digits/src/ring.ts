import type { Server } from 'node:net'
import { allReduceSum, type RingLink } from './allreduce.ts'
import { EXIT, messageOf, WorkloadError } from './errors.ts'
import {
  hostRendezvous,
  joinRendezvous,
  judgeHello,
  type Member,
  parseHello,
  type Registration,
} from './rendezvous.ts'
import { connect, FRAME, type Frame, type FrameSocket, jsonOf, listen, nextFrame } from './wire.ts'

/** What training needs of its gang. */
export interface Gang {
  /** Sums `vector` over all ranks, in place. @throws WorkloadError 75 naming a lost rank */
  allReduce(vector: Float64Array): Promise<void>
  /** Makes a running or the next exchange fail after `ms` at the latest. */
  hurry(ms: number): void
  /** Orderly end after the last exchange, or after a fault: tells the neighbours which. */
  leave(): Promise<void>
}

/** A gang of one: nothing to sum with. */
export const alone: Gang = {
  allReduce: () => Promise.resolve(),
  hurry: () => undefined,
  leave: () => Promise.resolve(),
}

const LINGER_MS = 1000
/** A left neighbour is never more than two rounds of hops ahead; past it something is wrong. */
const INBOX_MAX_ROUNDS = 4
const FINISHED_EARLY = 'it finished before us; do all ranks have the same options?'

interface RingSockets {
  readonly left: FrameSocket
  readonly right: FrameSocket
  readonly servers: readonly Server[]
}

/** The ring over two TCP connections per rank. A fault travels on to all ranks with its name. */
class TcpRing implements Gang, RingLink {
  readonly rank: number
  readonly worldSize: number
  readonly #sockets: RingSockets
  readonly #peerTimeoutMs: number
  readonly #inbox: Float64Array[] = []
  #wanted: { resolve(chunk: Float64Array): void; reject(error: Error): void } | undefined
  #fault: { lostRank: number; error: WorkloadError } | undefined
  #sent = 0
  #received = 0
  #hurryAt = Number.POSITIVE_INFINITY
  #leaving = false
  #leftFinished = false

  constructor(place: { rank: number; worldSize: number; peerTimeoutMs: number }, s: RingSockets) {
    this.rank = place.rank
    this.worldSize = place.worldSize
    this.#peerTimeoutMs = place.peerTimeoutMs
    this.#sockets = s
    this.#watch(s.left, this.#neighbour(-1))
    this.#watch(s.right, this.#neighbour(+1))
  }

  allReduce(vector: Float64Array): Promise<void> {
    return allReduceSum(vector, this)
  }

  hurry(ms: number): void {
    this.#hurryAt = performance.now() + ms
    setTimeout(() => this.#expire(`no answer ${ms} ms after a stop was asked for`), ms).unref()
  }

  async exchange(out: Float64Array, length: number): Promise<Float64Array> {
    if (this.#fault !== undefined) throw this.#fault.error
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength)
    this.#sockets.right.send(FRAME.data, bytes, this.#sent++)
    const chunk = await this.#next()
    if (chunk.length === length) return chunk
    const text = `want ${length} numbers, got ${chunk.length}; do all ranks have the same options?`
    throw new WorkloadError(EXIT.usage, `rank ${this.#neighbour(-1)} trains another model: ${text}`)
  }

  async leave(): Promise<void> {
    this.#leaving = true
    const { left, right, servers } = this.#sockets
    for (const server of servers) server.close()
    if (this.#fault === undefined) {
      left.send(FRAME.bye, new Uint8Array())
      right.send(FRAME.bye, new Uint8Array())
    }
    await Promise.all([left.end(LINGER_MS), right.end(LINGER_MS)])
  }

  #neighbour(step: 1 | -1): number {
    return (this.rank + step + this.worldSize) % this.worldSize
  }

  #next(): Promise<Float64Array> {
    const ready = this.#inbox.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    if (this.#leftFinished) this.#lose(this.#neighbour(-1), FINISHED_EARLY)
    if (this.#fault !== undefined) return Promise.reject(this.#fault.error)
    return new Promise((resolve, reject) => {
      const timeoutMs = Math.min(this.#peerTimeoutMs, this.#hurryAt - performance.now())
      const timer = setTimeout(
        () => this.#expire(`silent for ${this.#peerTimeoutMs} ms`),
        Math.max(0, timeoutMs),
      )
      const settle = () => {
        clearTimeout(timer)
        this.#wanted = undefined
      }
      this.#wanted = {
        resolve: (chunk) => {
          settle()
          resolve(chunk)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      }
    })
  }

  /** The neighbour that an exchange waits for counts as lost. */
  #expire(why: string): void {
    if (this.#wanted !== undefined) this.#lose(this.#neighbour(-1), why)
  }

  #watch(socket: FrameSocket, peer: number): void {
    let saidBye = false
    socket.handle({
      onFrame: (frame) => {
        if (frame.kind === FRAME.bye) {
          saidBye = true
          this.#leftFinished ||= socket === this.#sockets.left
          if (this.#leftFinished && this.#wanted !== undefined) this.#lose(peer, FINISHED_EARLY)
        } else if (frame.kind === FRAME.fault) this.#hear(frame, peer)
        else if (frame.kind === FRAME.data && socket === this.#sockets.left) this.#take(frame)
        else this.#lose(peer, `sent a frame of kind ${frame.kind}`)
      },
      onClose: (reason) => {
        if (!saidBye) this.#lose(peer, reason)
      },
    })
  }

  #take(frame: Frame): void {
    const left = this.#neighbour(-1)
    if (frame.sequence !== this.#received++ || frame.payload.byteLength % 8 !== 0) {
      this.#lose(left, `sent frame ${frame.sequence} out of order`)
      return
    }
    // Copied: a Float64Array needs an aligned start, and the buffer belongs to the socket.
    const bytes = new Uint8Array(frame.payload)
    const chunk = new Float64Array(bytes.buffer, 0, bytes.byteLength / 8)
    if (this.#wanted !== undefined) this.#wanted.resolve(chunk)
    else if (this.#inbox.push(chunk) > INBOX_MAX_ROUNDS * this.worldSize) {
      this.#lose(left, 'ran ahead of the ring')
    }
  }

  #hear(frame: Frame, from: number): void {
    const value = jsonOf(frame)
    const isFault = typeof value === 'object' && value !== null && 'lostRank' in value
    const lostRank = isFault && typeof value.lostRank === 'number' ? value.lostRank : from
    this.#lose(lostRank, `told by rank ${from}`)
  }

  #lose(lostRank: number, why: string): void {
    if (this.#fault !== undefined || this.#leaving) return
    const error = new WorkloadError(EXIT.peerLost, `lost rank ${lostRank}: ${why}`)
    this.#fault = { lostRank, error }
    for (const socket of [this.#sockets.left, this.#sockets.right]) {
      socket.sendJson(FRAME.fault, { lostRank })
    }
    this.#wanted?.reject(error)
  }
}

/** The own end of the ring: waits for the left neighbour's hello, refuses everybody else's. */
function ringDoor(r: Registration) {
  const arrived = Promise.withResolvers<FrameSocket>()
  const leftRank = (r.rank - 1 + r.worldSize) % r.worldSize
  const others = new Set(Array.from({ length: r.worldSize }, (_, rank) => rank))
  others.delete(leftRank)
  const admit = async (socket: FrameSocket) => {
    const frame = await nextFrame(socket, r.rendezvousTimeoutMs)
    const isHello = typeof frame !== 'string' && frame.kind === FRAME.hello
    const refusal = isHello ? judgeHello(r, parseHello(jsonOf(frame)), others) : undefined
    if (isHello && refusal === undefined) return arrived.resolve(socket)
    if (refusal !== undefined) r.log(`ring: refused a hello: ${refusal.reason}`)
    socket.destroy()
  }
  let bound: Promise<{ server: Server; port: number }> | undefined
  const bind = async (host: string) => {
    bound ??= listen({ host, port: 0 }, (socket) => {
      admit(socket).catch((error) => r.log(`ring: ${messageOf(error)}`))
    })
    return (await bound).port
  }
  return { bind, arrived: arrived.promise, leftRank, server: async () => (await bound)?.server }
}

async function connectRight(r: Registration, members: readonly Member[]): Promise<FrameSocket> {
  const rightRank = (r.rank + 1) % r.worldSize
  const { host, port } = members[rightRank] ?? { host: '', port: 0 }
  const { runId, generation, rank, worldSize } = r
  try {
    const socket = await connect({ host, port })
    socket.sendJson(FRAME.hello, { runId, generation, rank, worldSize, ringPort: 0 })
    return socket
  } catch (error) {
    const text = `lost rank ${rightRank} while the ring was built: ${messageOf(error)}`
    throw new WorkloadError(EXIT.peerLost, text, { cause: error })
  }
}

/**
 * Brings the gang together: registers with rank 0, then closes the ring of TCP connections.
 * @throws WorkloadError 75 when a rank is missing, 76 when a newer generation is running
 */
export async function openGang(r: Registration & { peerTimeoutMs: number }): Promise<Gang> {
  if (r.worldSize === 1) return alone
  const door = ringDoor(r)
  const servers: Server[] = []
  let members: Member[]
  if (r.rank === 0) {
    const hosted = await hostRendezvous(r, await door.bind(r.masterHost))
    members = hosted.members
    servers.push(hosted.server)
  } else members = await joinRendezvous(r, door.bind)
  const right = await connectRight(r, members)
  const timer = AbortSignal.timeout(r.rendezvousTimeoutMs)
  const left = await new Promise<FrameSocket>((resolve, reject) => {
    const text = `lost rank ${door.leftRank}: it did not join the ring in time`
    const late = () => reject(new WorkloadError(EXIT.peerLost, text))
    timer.addEventListener('abort', late)
    door.arrived.then((socket) => {
      timer.removeEventListener('abort', late)
      resolve(socket)
    }, reject)
  })
  const server = await door.server()
  if (server !== undefined) servers.push(server)
  return new TcpRing(r, { left, right, servers })
}
