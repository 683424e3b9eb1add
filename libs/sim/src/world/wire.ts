import type { Timer } from '@serverless-ai/kernel'
import type { LinkedCall, Wire } from '@serverless-ai/rpc'
import type { Life } from './life.ts'
import type { FaultyNetwork } from './network.ts'

/** A stream breaks when its peer has been silent for so long (keepalive), ms. */
export const KEEPALIVE_MS = 10_000

type End = 'caller' | 'server'

interface Held {
  readonly to: End
  readonly atMs: number
  readonly deliver: () => void
}

/** One call between two processes: its messages, in order or late or lost, and how it breaks. */
export class SimWire implements Wire {
  readonly call: LinkedCall
  readonly from: Life
  /** Process that the address names. */
  readonly to: string
  /** The life that the first message reached. */
  host: Life | undefined
  readonly #net: FaultyNetwork
  #lastMs = { caller: 0, server: 0 }
  #left = { caller: false, server: false }
  #held: Held[] = []
  #silence: Timer | undefined
  #broken = false
  #sent = false

  constructor(net: FaultyNetwork, from: Life, call: LinkedCall, to: string) {
    this.#net = net
    this.from = from
    this.call = call
    this.to = to
    from.wires.add(this)
  }

  toServer(bytes: number, deliver: () => void): void {
    this.from.operate(() => this.#send('server', bytes, deliver))
  }

  toCaller(bytes: number, deliver: () => void): void {
    // Without a host it is the machine that refuses the connection.
    if (this.host === undefined) this.#send('caller', bytes, deliver)
    else this.host.operate(() => this.#send('caller', bytes, deliver))
  }

  leave(end: End): void {
    this.#left[end] = true
    this.#lifeOf(end)?.wires.delete(this)
    if (this.#left.caller && this.#left.server) this.#endSilence()
  }

  #lifeOf(end: End): Life | undefined {
    return end === 'caller' ? this.from : this.host
  }

  #send(to: End, bytes: number, deliver: () => void): void {
    if (this.#broken) return
    const first = !this.#sent
    this.#sent = true
    this.#net.noteMessage(this, to, bytes, first)
    if (this.#net.isBlocked(this)) {
      this.#held.push({ to, atMs: this.#net.time.nowMs, deliver })
      this.#net.holding.add(this)
      if (first) this.refresh()
      return
    }
    if (this.call.unary) this.#sendUnary(to, deliver)
    else this.#sendInOrder(to, deliver)
  }

  #sendUnary(to: End, deliver: () => void): void {
    const { random, time } = this.#net
    const { lostShare = 0, duplicateShare = 0 } = this.#net.faultsOf(this)
    const arriveMs = time.nowMs + this.#net.delayMs(this)
    if (random.chance(lostShare)) {
      // The connection broke, or nobody ever says anything.
      const tells = random.chance(0.5)
      this.#net.noteFault(this, tells ? `${to}: lost, told` : `${to}: lost`)
      if (tells) time.at(arriveMs, () => this.break())
      return
    }
    time.at(arriveMs, () => this.#arrive(to, deliver))
    if (to === 'server' && random.chance(duplicateShare)) {
      this.#net.noteFault(this, 'twice')
      time.at(arriveMs + this.#net.delayMs(this), () => this.#arrive(to, deliver))
    }
  }

  #sendInOrder(to: End, deliver: () => void): void {
    const { random, time } = this.#net
    const arriveMs = Math.max(this.#lastMs[to], time.nowMs + this.#net.delayMs(this))
    this.#lastMs[to] = arriveMs
    if (random.chance(this.#net.faultsOf(this).resetShare ?? 0)) {
      this.#net.noteFault(this, 'reset')
      time.at(arriveMs, () => this.break())
      return
    }
    time.at(arriveMs, () => this.#arrive(to, deliver))
  }

  #arrive(to: End, deliver: () => void): void {
    if (this.#broken) return
    if (to === 'caller') this.from.gate.pass(deliver)
    else if (this.host !== undefined || this.#connect()) {
      // What waits in front of a paused process may break meanwhile.
      this.host!.gate.pass(() => {
        if (!this.#broken) deliver()
      })
    } else if (this.#net.isOn(this.to)) deliver()
  }

  /** Ties the call to the process that runs now, if one does. */
  #connect(): boolean {
    const host = this.#net.lifeOf(this.to)
    if (host === undefined) return false
    this.host = host
    if (!this.#left.server) host.wires.add(this)
    return true
  }

  /** Whether either end hears nothing of the other has changed, perhaps. */
  refresh(): void {
    const silent = this.from.silent || this.host?.silent === true || this.#net.isBlocked(this)
    if (!silent) {
      this.#endSilence()
      if (this.from.dead || this.host?.dead === true) this.#breakSoon()
    } else if (!this.call.unary && this.#silence === undefined && !this.#broken) {
      this.#silence = this.#net.time.after(KEEPALIVE_MS, () => this.break())
    }
  }

  #endSilence(): void {
    this.#silence?.cancel()
    this.#silence = undefined
  }

  /** What was held back goes on its way, unless it is too old: then its connection was given up. */
  flush(): void {
    const held = this.#held
    this.#held = []
    const oldestMs = this.#net.time.nowMs - KEEPALIVE_MS
    for (const { to, atMs, deliver } of held) {
      if (atMs < oldestMs || this.#broken) continue
      if (this.call.unary) this.#sendUnary(to, deliver)
      else this.#sendInOrder(to, deliver)
    }
  }

  /** The process of one end died: its machine tells the other end, if it still can. */
  died(): void {
    this.#held = []
    this.#net.holding.delete(this)
    this.refresh()
  }

  #breakSoon(): void {
    const { time } = this.#net
    const { caller, server } = this.#lastMs
    // Behind what was sent before.
    const arriveMs = Math.max(caller, server, time.nowMs + this.#net.delayMs(this))
    time.at(arriveMs, () => this.break())
  }

  /** Both ends learn that the connection is lost, as far as there are any. */
  break(): void {
    if (this.#broken) return
    this.#broken = true
    this.#endSilence()
    this.#held = []
    this.#net.noteFault(this, 'broken')
    const { host } = this
    if (!this.#left.caller) this.from.gate.pass(() => this.call.failCaller())
    if (!this.#left.server) host?.gate.pass(() => this.call.failServer())
    this.from.wires.delete(this)
    host?.wires.delete(this)
  }
}
