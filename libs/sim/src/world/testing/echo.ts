/** A small service for specs of the world. */
import type { CallContext } from '@serverless-ai/kernel'
import type { AccessTable } from '@serverless-ai/rpc'
import type { ProcessContext, Running, SimProcess, World } from '../types.ts'

export type Text = { readonly text: string }

const encode = (value: Text): Uint8Array => Buffer.from(value.text)
const decode = (bytes: Uint8Array): Text => ({ text: Buffer.from(bytes).toString() })
const codec = {
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
}

export const Echo = {
  say: { path: '/test.Echo/Say', requestStream: false, responseStream: false, ...codec },
  chat: { path: '/test.Echo/Chat', requestStream: true, responseStream: true, ...codec },
} as const

const access: AccessTable = { '/test.Echo/Say': 'public', '/test.Echo/Chat': 'public' }

/** What a server of echoes saw. */
export interface EchoServer {
  readonly process: SimProcess
  readonly said: string[]
  /** Streams that ended, each with the reason of its signal or `end`. */
  readonly ended: string[]
}

/** Starts a process that answers. `wait` is answered after 1 s, `never` never. */
export function startEcho(world: World, name: string): EchoServer {
  const said: string[] = []
  const ended: string[] = []
  const main = (context: ProcessContext): Running => {
    const server = context.server({ authenticate: () => undefined, access })
    server.add(Echo, {
      async say({ text }) {
        said.push(text)
        if (text === 'never') await new Promise(() => undefined)
        if (text === 'wait') await context.ports.timers.sleep(1_000)
        return { text: `${context.name} ${context.incarnation}: ${text}` }
      },
      chat: (requests, { signal }) => chat(requests, signal),
    })
    void server.listen('0.0.0.0:7070')
    return { stop: () => server.close(0) }
  }
  async function* chat(
    requests: AsyncIterable<Text>,
    signal: CallContext['signal'],
  ): AsyncGenerator<Text> {
    signal.addEventListener('abort', () => ended.push(String(signal.reason.code)))
    for await (const { text } of requests) {
      said.push(text)
      yield { text: `re: ${text}` }
    }
    ended.push('end')
  }
  const process = world.machine(`${name}-machine`).process(name, main)
  process.start()
  return { process, said, ended }
}
