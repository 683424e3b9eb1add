import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Engine } from './engine.ts'
import type { LatencyTable } from './latency.ts'

/** Said with every answer: nobody may take this for a model. */
const EMULATED = { 'x-emulated': 'true', server: 'llm-emulator' }
const BODY_MAX_BYTES = 8 * 1024 * 1024
const CHARS_PER_TOKEN = 4
const ANSWER_TOKENS = 128
const ANSWER_TOKENS_MAX = 100_000
const WORD = ' emulated'

export interface EmulatorOptions {
  /** Name in `/v1/models`. */
  readonly model: string
  readonly table: LatencyTable
  /** 0 = any that is free. */
  readonly port: number
  /** Address to listen on. Default: all. */
  readonly host?: string
  readonly batchMax: number
  readonly speed: number
}

export interface Emulator {
  readonly port: number
  /** Takes no new connections; resolves when all requests are answered. */
  close(): Promise<void>
}

interface Asked {
  readonly chat: boolean
  readonly stream: boolean
  readonly usage: boolean
  readonly promptTokens: number
  readonly answerTokens: number
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const type = 'invalid_request_error'
  const body = JSON.stringify({ error: { message, type, param: null, code: null } })
  response.writeHead(status, { ...EMULATED, 'content-type': 'application/json' }).end(body)
}

async function read(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request) {
    bytes += piece.length
    if (bytes > BODY_MAX_BYTES) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** Text of a prompt or of all messages, in characters. */
function charsOf(json: Record<string, unknown>): number {
  const { prompt, messages } = json
  if (typeof prompt === 'string') return prompt.length
  return JSON.stringify(messages ?? '').length
}

function askedOf(path: string, body: Buffer): Asked | undefined {
  try {
    const json: Record<string, unknown> = JSON.parse(body.toString('utf8'))
    const bound = json['max_completion_tokens'] ?? json['max_tokens']
    const wanted = typeof bound === 'number' && bound >= 1 ? Math.floor(bound) : ANSWER_TOKENS
    const options = json['stream_options'] as { include_usage?: unknown } | undefined
    return {
      chat: path === '/v1/chat/completions',
      stream: json['stream'] === true,
      usage: options?.include_usage === true,
      promptTokens: Math.max(1, Math.ceil(charsOf(json) / CHARS_PER_TOKEN)),
      answerTokens: Math.min(wanted, ANSWER_TOKENS_MAX),
    }
  } catch {
    return undefined
  }
}

const usageOf = ({ promptTokens, answerTokens }: Asked) => ({
  prompt_tokens: promptTokens,
  completion_tokens: answerTokens,
  total_tokens: promptTokens + answerTokens,
})

/** What every object of an answer has. */
const head = (model: string, kind: string) => ({
  id: 'emulated',
  object: kind,
  created: 0,
  model,
  system_fingerprint: 'emulated',
})

class Answer {
  readonly #response: ServerResponse
  readonly #asked: Asked
  readonly #model: string

  constructor(response: ServerResponse, asked: Asked, model: string) {
    this.#response = response
    this.#asked = asked
    this.#model = model
  }

  token(index: number, last: boolean): void {
    if (this.#asked.stream) this.#event(index, last)
    else if (last) this.#whole()
  }

  #event(index: number, last: boolean): void {
    const { chat, usage } = this.#asked
    const response = this.#response
    if (index === 1) {
      const type = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
      response.writeHead(200, { ...EMULATED, ...type })
    }
    const part = chat ? { delta: { content: WORD } } : { text: WORD }
    const choices = [{ index: 0, ...part, finish_reason: last ? 'length' : null }]
    const kind = chat ? 'chat.completion.chunk' : 'text_completion'
    const send = (value: object) => response.write(`data: ${JSON.stringify(value)}\n\n`)
    send({ ...head(this.#model, kind), choices })
    if (!last) return
    if (usage) send({ ...head(this.#model, kind), choices: [], usage: usageOf(this.#asked) })
    response.end('data: [DONE]\n\n')
  }

  #whole(): void {
    const { chat, answerTokens } = this.#asked
    const text = WORD.repeat(answerTokens)
    const part = chat ? { message: { role: 'assistant', content: text } } : { text }
    const choices = [{ index: 0, ...part, finish_reason: 'length' }]
    const kind = chat ? 'chat.completion' : 'text_completion'
    const body = { ...head(this.#model, kind), choices, usage: usageOf(this.#asked) }
    const type = { 'content-type': 'application/json' }
    this.#response.writeHead(200, { ...EMULATED, ...type }).end(JSON.stringify(body))
  }
}

/** Starts the emulator. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const { model, table, batchMax, speed } = options
  const timers = { after: (ms: number, fn: () => void) => void setTimeout(fn, ms) }
  const engine = new Engine({ table, batchMax, speed, timers })
  const complete = async (path: string, request: IncomingMessage, response: ServerResponse) => {
    const body = await read(request)
    if (body === undefined) return refuse(response, 413, 'the body is too large')
    const asked = askedOf(path, body)
    if (asked === undefined) return refuse(response, 400, 'the body is no JSON object')
    const answer = new Answer(response, asked, model)
    const { promptTokens, answerTokens } = asked
    const onToken = (index: number, last: boolean) => answer.token(index, last)
    const sequence = { promptTokens, answerTokens, onToken }
    response.once('close', () => engine.remove(sequence))
    engine.add(sequence)
  }
  const server = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?', 1)
    if (path === '/healthz') {
      response.writeHead(200, EMULATED).end('ok')
    } else if (path === '/v1/models') {
      const one = { id: model, object: 'model', created: 0, owned_by: 'emulator', emulated: true }
      const type = { 'content-type': 'application/json' }
      response.writeHead(200, { ...EMULATED, ...type })
      response.end(JSON.stringify({ object: 'list', data: [one] }))
    } else if (path === '/v1/chat/completions' || path === '/v1/completions') {
      complete(path, request, response).catch(() => response.destroy())
    } else refuse(response, 404, `nothing answers under ${path}`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      return closed
    },
  }
}
