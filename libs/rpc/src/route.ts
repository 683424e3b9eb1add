import { RpcError } from '@serverless-ai/kernel'
import { isAway, isNotLeading } from './retry.ts'

/** Which replica of a service is called: the one that is known to lead, else one after another. */
export class Route {
  readonly #all: readonly string[]
  /** Those that are not known to serve something else. */
  #addresses: readonly string[]
  #current: string

  /** @param list `host:port`, or several of them with commas between */
  constructor(list: string) {
    this.#all = addressesOf(list)
    this.#addresses = this.#all
    this.#current = this.#addresses[0] ?? list
  }

  /** Where the next call goes. */
  get current(): string {
    return this.#current
  }

  /** Number of addresses that may serve. */
  get size(): number {
    return Math.max(1, this.#addresses.length)
  }

  /** `address` says who leads (empty = nobody it knows of). True when the route moved. */
  redirect(address: string, leader: string): boolean {
    if (this.#current !== address) return true
    if (leader === '' || leader === address) this.leave(address)
    else this.#current = leader
    return this.#current !== address
  }

  /** `address` is of no use now: calls go to the next one. */
  leave(address: string): void {
    if (this.#current !== address) return
    const index = this.#addresses.indexOf(address)
    this.#current = this.#addresses[(index + 1) % this.size] ?? address
  }

  /**
   * The process at `address` serves something else: it is not asked again. False when nobody else
   * is left; then all are asked anew, for what they serve may change.
   */
  drop(address: string): boolean {
    this.leave(address)
    const left = this.#addresses.filter((one) => one !== address)
    this.#addresses = left.length === 0 ? this.#all : left
    return left.length > 0
  }

  /** A stream that had begun at `address` ended with an error. */
  lost(address: string, error: unknown, signal: AbortSignal | undefined): void {
    const cause = signal?.aborted ? signal.reason : error
    if (!(cause instanceof RpcError) || !isAway(cause)) return
    if (isNotLeading(cause)) this.redirect(address, cause.metadata.leaderAddress ?? '')
    else this.leave(address)
  }
}

/** The addresses of a list: `host:port`, or several of them with commas between. */
export function addressesOf(list: string): readonly string[] {
  return list
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
}
