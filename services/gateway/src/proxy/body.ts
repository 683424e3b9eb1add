import type { Readable } from 'node:stream'
import type { Timers } from '@serverless-ai/kernel'
import { rpcError } from '@serverless-ai/rpc'

/** Memory for bodies that are read as a whole. */
export class Buffers {
  readonly #max: number
  #bytes = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws `GATEWAY_FULL` */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#max) throw rpcError('GATEWAY_FULL')
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

/**
 * Reads a body as a whole. Its bytes count in `buffers` until they are released.
 * @throws `BODY_TOO_LARGE`, `GATEWAY_FULL`, `CALLER_TOO_SLOW`, `CANCELLED`
 */
export function collect(
  body: Readable,
  rules: { maxBytes: number; stallMs: number; timers: Timers; buffers: Buffers },
): Promise<{ readonly bytes: Buffer; readonly release: () => void }> {
  const { maxBytes, stallMs, timers, buffers } = rules
  const pieces: Buffer[] = []
  let taken = 0
  const release = (): void => {
    buffers.give(taken)
    taken = 0
  }
  return new Promise((resolve, reject) => {
    let over = false
    // What has been read whole closes, too.
    const fail = (error: unknown): void => {
      if (over) return
      over = true
      stall.cancel()
      body.off('data', onData)
      release()
      reject(error)
    }
    const late = () => fail(rpcError('CALLER_TOO_SLOW'))
    let stall = timers.after(stallMs, late)
    const onData = (piece: Buffer): void => {
      try {
        if (taken + piece.length > maxBytes) throw rpcError('BODY_TOO_LARGE')
        buffers.take(piece.length)
        taken += piece.length
        pieces.push(piece)
        stall.cancel()
        stall = timers.after(stallMs, late)
      } catch (error) {
        fail(error)
      }
    }
    body.on('data', onData)
    body.once('end', () => {
      if (over) return
      over = true
      stall.cancel()
      resolve({ bytes: Buffer.concat(pieces), release })
    })
    body.once('error', () => fail(rpcError('CANCELLED')))
    body.once('aborted', () => fail(rpcError('CANCELLED')))
    body.once('close', () => fail(rpcError('CANCELLED')))
  })
}
