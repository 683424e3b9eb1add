import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A span as it was sent. */
export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** Empty = the first of its trace. */
  readonly parentSpanId: string
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  /** Empty = it went well. */
  readonly error: string
  /** Name of the process that sent it. */
  readonly process: string
}

interface SentValue {
  readonly stringValue?: string
  readonly intValue?: number | string
  readonly doubleValue?: number
  readonly boolValue?: boolean
}
type SentAttributes = readonly { readonly key: string; readonly value: SentValue }[]
interface SentSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes?: SentAttributes
  readonly status?: { readonly code?: number; readonly message?: string }
}
interface Sent {
  readonly resourceSpans: readonly {
    readonly resource?: { readonly attributes?: SentAttributes }
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[]
  }[]
}

const plainOf = ({ stringValue, intValue, doubleValue, boolValue }: SentValue) =>
  stringValue ?? (intValue === undefined ? undefined : Number(intValue)) ?? doubleValue ?? boolValue

const attributesOf = (sent: SentAttributes = []) =>
  Object.fromEntries(sent.map(({ key, value }) => [key, plainOf(value) ?? '']))

function spansOf({ resourceSpans }: Sent): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const process = String(attributesOf(resource?.attributes)['service.name'] ?? '')
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, traceId, spanId, parentSpanId = '', attributes, status }) => ({
        ...{ name, traceId, spanId, parentSpanId, process },
        attributes: attributesOf(attributes),
        error: status?.code === 2 ? (status.message ?? 'ERROR') : '',
      })),
    )
  })
}

/** A receiver of OTLP over HTTP with JSON, in this process. It keeps all that it is sent. */
export interface OtlpReceiver {
  /** Base URL. */
  readonly endpoint: string
  readonly spans: readonly ReceivedSpan[]
  close(): Promise<void>
}

export async function openOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    if (request.url === '/v1/traces') spans.push(...spansOf(JSON.parse(text)))
    response.setHeader('content-type', 'application/json').end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
