import { isIP, type Socket, connect as tcpConnect } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import type { ISocketFactoryArgs } from 'kafkajs'

/** Where to connect instead of a broker's own address. */
export type Dial = (to: { readonly host: string; readonly port: number }) => {
  readonly host: string
  readonly port: number
}

/** The kind of a request that appends. */
export const PRODUCE = 0

/** Sees each request that is given to a socket, by its kind. */
function watchRequests(socket: Socket, seen: (kind: number) => void): void {
  const write = socket.write.bind(socket)
  // kafkajs writes each request in one piece: four bytes of length, two of kind.
  socket.write = (piece: Uint8Array | string, ...rest: never[]): boolean => {
    if (Buffer.isBuffer(piece) && piece.byteLength >= 6) seen(piece.readInt16BE(4))
    return write(piece, ...rest)
  }
}

/** Makes the sockets of a client; `onRequest` is told the kind of each request that leaves. */
export function socketFactory(dial: Dial, onRequest?: (kind: number) => void) {
  return ({ host, port, ssl, onConnect }: ISocketFactoryArgs): Socket => {
    const to = dial({ host, port })
    const name = isIP(host) === 0 ? { servername: host } : {}
    const socket = ssl
      ? tlsConnect({ ...to, ...name, ...ssl }, onConnect)
      : tcpConnect(to, onConnect)
    // kafkajs leaves Nagle's algorithm on, which holds small commits back.
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 30_000)
    if (onRequest !== undefined) watchRequests(socket, onRequest)
    return socket
  }
}
