import { connect } from 'node:net'

/** Sends bytes as they are and answers everything that comes back until the connection ends. */
export function raw(
  port: number,
  bytes: string | Buffer,
  options: { readonly quietMs?: number } = {},
): Promise<string> {
  const { quietMs = 150 } = options
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    // Ends the conversation where the gateway would keep it open.
    socket.setTimeout(quietMs, () => socket.destroy())
    socket.on('data', (piece) => {
      text += piece.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}

/** Status codes of the answers in a conversation. */
export const statusesOf = (text: string): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code))
