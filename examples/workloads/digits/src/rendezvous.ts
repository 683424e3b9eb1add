import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT, messageOf, systemCode, WorkloadError } from './errors.ts'
import type { Launch } from './launch.ts'
import { connect, FRAME, type FrameSocket, jsonOf, listen, nextFrame } from './wire.ts'

/** What a rank says when it registers with rank 0. */
export interface Hello {
  readonly runId: string
  readonly generation: number
  readonly rank: number
  readonly worldSize: number
  /** Port of this rank's ring socket; its host is the one the connection comes from. */
  readonly ringPort: number
}

/** Where a rank can be reached by its left neighbour. */
export interface Member {
  readonly host: string
  readonly port: number
}

/** Why a hello was refused, with what the listener has and what came. */
export interface Refusal {
  readonly reason:
    | 'RUN_MISMATCH'
    | 'GENERATION_MISMATCH'
    | 'WORLD_SIZE_MISMATCH'
    | 'RANK_OUT_OF_RANGE'
    | 'RANK_TAKEN'
    | 'MALFORMED'
  readonly want: string
  readonly got: string
}

export type Gang = Pick<Launch, 'runId' | 'generation' | 'worldSize'>
export type Registration = Gang &
  Pick<Launch, 'rank' | 'masterHost' | 'masterPort'> & {
    readonly rendezvousTimeoutMs: number
    /** Lines for people; refusals are told here. */
    readonly log: (line: string) => void
  }

/** How long a stranger may stay connected without a word. */
const HELLO_TIMEOUT_MS = 5000
const RETRY_MS = 50
/** After a refusal: the process that refused us needs longer to end than a port to open. */
const REFUSED_RETRY_MS = 500
/** Distinct refusals that rank 0 tells people of; strangers must not fill its log. */
const TOLD_MAX = 20
/** A predecessor that is just ending may hold the port for a moment. */
const BIND_RETRY_MS = 2000

/** Reads a hello; undefined when a field is missing or of another type. */
export function parseHello(value: unknown): Hello | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const fields: Partial<Record<keyof Hello, unknown>> = value
  const { runId, generation, rank, worldSize, ringPort } = fields
  if (typeof runId !== 'string' || !Number.isInteger(generation)) return undefined
  if (typeof generation !== 'number' || typeof rank !== 'number') return undefined
  if (typeof worldSize !== 'number' || typeof ringPort !== 'number') return undefined
  return { runId, generation, rank, worldSize, ringPort }
}

/** Whether a hello belongs to this gang in this generation. */
export function judgeHello(
  gang: Gang,
  hello: Hello | undefined,
  taken: ReadonlySet<number>,
): Refusal | undefined {
  if (hello === undefined) return { reason: 'MALFORMED', want: 'a hello', got: 'something else' }
  const refuse = (reason: Refusal['reason'], want: string | number, got: string | number) => ({
    reason,
    want: String(want),
    got: String(got),
  })
  if (hello.runId !== gang.runId) return refuse('RUN_MISMATCH', gang.runId, hello.runId)
  if (hello.generation !== gang.generation) {
    return refuse('GENERATION_MISMATCH', gang.generation, hello.generation)
  }
  if (hello.worldSize !== gang.worldSize) {
    return refuse('WORLD_SIZE_MISMATCH', gang.worldSize, hello.worldSize)
  }
  const isRank = Number.isInteger(hello.rank) && hello.rank >= 0 && hello.rank < gang.worldSize
  if (!isRank) return refuse('RANK_OUT_OF_RANGE', `0 to ${gang.worldSize - 1}`, hello.rank)
  if (taken.has(hello.rank)) return refuse('RANK_TAKEN', 'another rank', hello.rank)
  return undefined
}

async function bindMaster(r: Registration, onConnection: (socket: FrameSocket) => void) {
  const giveUpAt = performance.now() + Math.min(BIND_RETRY_MS, r.rendezvousTimeoutMs)
  const address = { host: r.masterHost, port: r.masterPort }
  for (;;) {
    try {
      return (await listen(address, onConnection)).server
    } catch (error) {
      const inUse = systemCode(error) === 'EADDRINUSE'
      if (inUse && performance.now() < giveUpAt) await sleep(RETRY_MS)
      else {
        const text = `cannot listen on ${r.masterHost}:${r.masterPort}: ${messageOf(error)}`
        throw new WorkloadError(inUse ? EXIT.peerLost : EXIT.usage, text, { cause: error })
      }
    }
  }
}

/** Rank 0's side: admits the other ranks and tells all of them where the members are. */
class Desk {
  readonly #r: Registration
  readonly #members = new Map<number, Member>()
  readonly #sockets = new Map<number, FrameSocket>()
  readonly #whole = Promise.withResolvers<Member[]>()
  readonly #told = new Set<string>()
  #complete = false

  constructor(r: Registration, own: Member) {
    this.#r = r
    this.#members.set(0, own)
  }

  async admit(socket: FrameSocket): Promise<void> {
    const frame = await nextFrame(socket, HELLO_TIMEOUT_MS)
    if (typeof frame === 'string' || frame.kind !== FRAME.hello) return socket.destroy()
    const hello = parseHello(jsonOf(frame))
    const refusal = judgeHello(this.#r, hello, new Set(this.#members.keys()))
    if (refusal !== undefined || hello === undefined) {
      const { reason, want, got } = refusal ?? { reason: 'MALFORMED', want: '', got: '' }
      this.#tell(`refused a hello: ${reason}, want ${want}, got ${got}`)
      socket.sendJson(FRAME.refused, { ...refusal, generation: this.#r.generation })
      return socket.end(HELLO_TIMEOUT_MS)
    }
    this.#register(hello, socket)
  }

  /** A refused process comes again and again: each refusal is told once. */
  #tell(line: string): void {
    if (this.#told.has(line) || this.#told.size >= TOLD_MAX) return
    this.#told.add(line)
    this.#r.log(line)
  }

  #register({ rank, ringPort }: Hello, socket: FrameSocket): void {
    this.#members.set(rank, { host: socket.remoteAddress, port: ringPort })
    this.#sockets.set(rank, socket)
    socket.handle({
      onFrame: () => socket.destroy(),
      // Before the gang is whole a rank may die and come again; afterwards the ring watches.
      onClose: () => {
        if (!this.#complete) this.#members.delete(rank)
        this.#sockets.delete(rank)
      },
    })
    if (this.#members.size === this.#r.worldSize) this.#announce()
  }

  #announce(): void {
    this.#complete = true
    const members = [...this.#members].sort(([a], [b]) => a - b).map(([, member]) => member)
    for (const socket of this.#sockets.values()) {
      socket.sendJson(FRAME.members, members)
      void socket.end(HELLO_TIMEOUT_MS)
    }
    this.#whole.resolve(members)
  }

  /** The members by rank, once all are there. */
  async gathered(): Promise<Member[]> {
    const { rendezvousTimeoutMs, worldSize } = this.#r
    const ended = new AbortController()
    const late = sleep(rendezvousTimeoutMs, undefined, { signal: ended.signal, ref: true })
    const members = await Promise.race([this.#whole.promise, late.catch(() => undefined)])
    ended.abort()
    if (members !== undefined) return members
    const missing = Array.from({ length: worldSize }, (_, rank) => rank)
      .filter((rank) => !this.#members.has(rank))
      .join(', ')
    throw new WorkloadError(
      EXIT.peerLost,
      `rendezvous: rank ${missing} did not come within ${rendezvousTimeoutMs} ms`,
    )
  }
}

/**
 * Rank 0: listens on the master address and waits until every rank has registered. The server
 * stays open, so that a late process of another generation is told so instead of waiting.
 * @throws WorkloadError 75 when the port is taken or a rank is missing at the deadline
 */
export async function hostRendezvous(
  r: Registration,
  ringPort: number,
): Promise<{ members: Member[]; server: Server }> {
  const desk = new Desk(r, { host: r.masterHost, port: ringPort })
  const server = await bindMaster(r, (socket) => {
    desk.admit(socket).catch((error) => r.log(`rendezvous: ${messageOf(error)}`))
  })
  try {
    return { members: await desk.gathered(), server }
  } catch (error) {
    server.close()
    throw error
  }
}

/** A refusal as rank 0 sends it: with the generation that rank 0 belongs to. */
function refusalOf(value: unknown): Partial<Refusal> & { generation?: number } {
  return typeof value === 'object' && value !== null ? value : {}
}

function membersOf(value: unknown, worldSize: number): Member[] {
  if (Array.isArray(value) && value.length === worldSize) return value
  throw new WorkloadError(EXIT.software, 'rendezvous: rank 0 sent no list of members')
}

/** Why an attempt failed that may be tried again. */
interface Setback {
  readonly why: string
  readonly isRefusal: boolean
}

/** One attempt. @throws WorkloadError when another one is of no use */
async function tryJoin(
  r: Registration,
  bindRing: (host: string) => Promise<number>,
  timeoutMs: number,
): Promise<Member[] | Setback> {
  let socket: FrameSocket
  try {
    socket = await connect({ host: r.masterHost, port: r.masterPort })
  } catch (error) {
    return { why: messageOf(error), isRefusal: false }
  }
  try {
    const { runId, generation, rank, worldSize } = r
    const ringPort = await bindRing(socket.localAddress)
    const hello: Hello = { runId, generation, rank, worldSize, ringPort }
    socket.sendJson(FRAME.hello, hello)
    const answer = await nextFrame(socket, timeoutMs)
    if (typeof answer === 'string') return { why: answer, isRefusal: false }
    if (answer.kind === FRAME.members) return membersOf(jsonOf(answer), worldSize)
    const { reason, want, got, generation: theirs } = refusalOf(jsonOf(answer))
    const text = `rank 0 refused us: ${reason}, want ${want}, got ${got}`
    if (reason === 'GENERATION_MISMATCH' && theirs !== undefined && theirs > generation) {
      throw new WorkloadError(EXIT.superseded, `generation ${generation} is over; ${text}`)
    }
    return { why: text, isRefusal: true }
  } finally {
    socket.destroy()
  }
}

/**
 * Any other rank: registers with rank 0 and waits for the list of members. A refusal by an older
 * generation or another run is tried again, as that process is about to end.
 * @param bindRing opens the own ring socket on the address that reaches rank 0; gives its port
 * @throws WorkloadError 76 when rank 0 is of a newer generation, 75 at the deadline
 */
export async function joinRendezvous(
  r: Registration,
  bindRing: (host: string) => Promise<number>,
): Promise<Member[]> {
  const deadlineAt = performance.now() + r.rendezvousTimeoutMs
  let last: Setback | undefined
  for (;;) {
    const leftMs = Math.max(1, Math.ceil(deadlineAt - performance.now()))
    const result = await tryJoin(r, bindRing, leftMs)
    if (Array.isArray(result)) return result
    // A refusal says more than the attempt that the deadline happened to cut short.
    if (result.isRefusal || last?.isRefusal !== true) last = result
    const waitMs = result.isRefusal ? REFUSED_RETRY_MS : RETRY_MS
    if (performance.now() + waitMs >= deadlineAt) {
      const text = `no gang at ${r.masterHost}:${r.masterPort} within ${r.rendezvousTimeoutMs} ms`
      throw new WorkloadError(EXIT.peerLost, `rendezvous: ${text} (last: ${last.why})`)
    }
    await sleep(waitMs)
  }
}
