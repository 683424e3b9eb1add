import {
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Registry,
  toBinary,
  toJson,
} from '@bufbuild/protobuf'
import { Client, credentials, Metadata } from '@grpc/grpc-js'

/** Where to call and as whom. */
export interface Target {
  /** `host:port`; the connection is not encrypted, so keep to the loopback. */
  readonly address: string
  /** Sent with every call as `authorization: Bearer …`. Undefined: none. */
  readonly token: string | undefined
}

/** Unary calls end with DEADLINE_EXCEEDED after this time. */
const UNARY_TIMEOUT_MS = 30_000

/** Asks questions on one bidirectional stream, one at a time. */
export interface Dialogue {
  /** @throws the gRPC error when the stream ends without an answer */
  ask(question: JsonObject): Promise<JsonObject>
  close(): void
}

function objectOf(value: JsonValue): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new TypeError(`a message is a JSON object, got ${JSON.stringify(value)}`)
}

/**
 * Calls methods that are known by their descriptors alone: JSON in, JSON out, the wire format in
 * between comes from the descriptor.
 */
export class DynamicClient {
  readonly #client: Client
  readonly #metadata = new Metadata()

  constructor({ address, token }: Target) {
    this.#client = new Client(address, credentials.createInsecure())
    if (token !== undefined) this.#metadata.set('authorization', `Bearer ${token}`)
  }

  close(): void {
    this.#client.close()
  }

  /** @throws the gRPC `ServiceError` of a failed call */
  unary(method: DescMethod, request: JsonObject, registry?: Registry): Promise<JsonObject> {
    const { path, write, read } = codecOf(method, registry)
    const options = { deadline: Date.now() + UNARY_TIMEOUT_MS }
    return new Promise((resolve, reject) => {
      const answered = (error: Error | null, answer?: JsonObject) => {
        if (answer === undefined) reject(error ?? new Error(`${path}: no answer`))
        else resolve(answer)
      }
      this.#client.makeUnaryRequest(path, write, read, request, this.#metadata, options, answered)
    })
  }

  /** Messages as they come; leaving the loop cancels the call. @throws the gRPC `ServiceError` */
  async *serverStream(
    method: DescMethod,
    request: JsonObject,
    signal?: AbortSignal,
  ): AsyncGenerator<JsonObject> {
    const { path, write, read } = codecOf(method)
    const call = this.#client.makeServerStreamRequest(path, write, read, request, this.#metadata)
    const cancel = () => call.cancel()
    signal?.addEventListener('abort', cancel)
    try {
      for await (const message of call) yield message
    } finally {
      signal?.removeEventListener('abort', cancel)
      call.cancel()
    }
  }

  dialogue(method: DescMethod): Dialogue {
    const { path, write, read } = codecOf(method)
    const call = this.#client.makeBidiStreamRequest(path, write, read, this.#metadata)
    const answers = call[Symbol.asyncIterator]()
    return {
      async ask(question) {
        call.write(question)
        const { done, value } = await answers.next()
        if (done === true) throw new Error(`${path}: the stream ended without an answer`)
        return value
      },
      close() {
        call.end()
        call.cancel()
      },
    }
  }
}

function codecOf(method: DescMethod, registry?: Registry) {
  const options = registry === undefined ? {} : { registry }
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    write: (json: JsonObject) =>
      Buffer.from(toBinary(method.input, fromJson(method.input, json, options))),
    read: (bytes: Buffer) =>
      objectOf(toJson(method.output, fromBinary(method.output, bytes), options)),
  }
}
