import {
  create,
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
} from '@bufbuild/protobuf'
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt'
import type { Dialogue, DynamicClient } from './dynamic-client.ts'

const field = (name: string, number: number, more: JsonObject = {}): JsonObject => ({
  name,
  number,
  jsonName: name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
  label: 'LABEL_OPTIONAL',
  type: 'TYPE_STRING',
  ...more,
})
const message = (type: string): JsonObject => ({
  type: 'TYPE_MESSAGE',
  typeName: `.grpc.reflection.v1.${type}`,
})
const repeated: JsonObject = { label: 'LABEL_REPEATED' }

/**
 * The only message types that are known beforehand: the part of grpc/reflection/v1/reflection.proto
 * that is used here. Every other type comes from the server.
 */
const REFLECTION_PROTO: JsonObject = {
  name: 'grpc/reflection/v1/reflection.proto',
  package: 'grpc.reflection.v1',
  syntax: 'proto3',
  messageType: [
    {
      name: 'ServerReflectionRequest',
      field: [
        field('file_by_filename', 3, { oneofIndex: 0 }),
        field('file_containing_symbol', 4, { oneofIndex: 0 }),
        field('list_services', 7, { oneofIndex: 0 }),
      ],
      oneofDecl: [{ name: 'message_request' }],
    },
    {
      name: 'ServerReflectionResponse',
      field: [
        field('file_descriptor_response', 4, { ...message('FileDescriptorResponse') }),
        field('list_services_response', 6, { ...message('ListServiceResponse') }),
        field('error_response', 7, { ...message('ErrorResponse') }),
      ],
    },
    {
      name: 'FileDescriptorResponse',
      field: [field('file_descriptor_proto', 1, { ...repeated, type: 'TYPE_BYTES' })],
    },
    {
      name: 'ListServiceResponse',
      field: [field('service', 1, { ...repeated, ...message('ServiceResponse') })],
    },
    { name: 'ServiceResponse', field: [field('name', 1)] },
    {
      name: 'ErrorResponse',
      field: [field('error_code', 1, { type: 'TYPE_INT32' }), field('error_message', 2)],
    },
  ],
  service: [
    {
      name: 'ServerReflection',
      method: [
        {
          name: 'ServerReflectionInfo',
          inputType: '.grpc.reflection.v1.ServerReflectionRequest',
          outputType: '.grpc.reflection.v1.ServerReflectionResponse',
          clientStreaming: true,
          serverStreaming: true,
        },
      ],
    },
  ],
}

/**
 * A method by its full names.
 * @throws Error when the registry has no such service, or the service no such method
 */
export function methodOf(registry: FileRegistry, service: string, name: string): DescMethod {
  const found = registry.getService(service)?.methods.find((method) => method.name === name)
  if (found === undefined) throw new Error(`the server does not describe ${service}/${name}`)
  return found
}

/** What a server answered, as far as this client reads it. */
interface Answer {
  readonly files: readonly FileDescriptorProto[]
  readonly services: readonly string[]
}

const member = (value: JsonValue | undefined, name: string): JsonValue | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined
const list = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : [])

function answerOf(json: JsonObject): Answer {
  const refused = json['errorResponse']
  if (refused !== undefined) throw new Error(`reflection: ${member(refused, 'errorMessage')}`)
  // Bytes are base64 in JSON.
  const files = list(member(json['fileDescriptorResponse'], 'fileDescriptorProto'))
    .map((text) => Buffer.from(String(text), 'base64'))
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
  const services = list(member(json['listServicesResponse'], 'service'))
  return { files, services: services.map((service) => String(member(service, 'name'))) }
}

/** Whether `symbol` is a top-level message or a service of this file. */
function declares(file: FileDescriptorProto, symbol: string): boolean {
  const prefix = file.package === '' ? '' : `${file.package}.`
  return [...file.service, ...file.messageType].some(({ name }) => `${prefix}${name}` === symbol)
}

/** Reads a server's own description of its services. Call `close` when done. */
export class ReflectionClient {
  readonly #dialogue: Dialogue
  readonly #files = new Map<string, FileDescriptorProto>()

  constructor(client: DynamicClient) {
    const registry = createFileRegistry(
      fromJson(FileDescriptorProtoSchema, REFLECTION_PROTO),
      () => undefined,
    )
    const service = 'grpc.reflection.v1.ServerReflection'
    this.#dialogue = client.dialogue(methodOf(registry, service, 'ServerReflectionInfo'))
  }

  /** Full names of the services that the server offers. */
  async listServices(): Promise<readonly string[]> {
    return (await this.#ask({ listServices: '*' })).services
  }

  /**
   * All types that the file of `symbol` uses, as a registry.
   * @param symbol full name of a service or message
   * @throws Error when the server does not know the symbol
   */
  async describe(symbol: string): Promise<FileRegistry> {
    await this.#ask({ fileContainingSymbol: symbol })
    // Not simply the answer's first file: a server need not send again what it sent before.
    const root = [...this.#files.values()].find((file) => declares(file, symbol))
    if (root === undefined) throw new Error(`reflection: no file for ${symbol}`)
    const file = new Map<string, FileDescriptorProto>()
    await this.#collect(root, file)
    return createFileRegistry(create(FileDescriptorSetSchema, { file: [...file.values()] }))
  }

  close(): void {
    this.#dialogue.close()
  }

  /**
   * Puts `file` into `found` behind all that it imports: a registry is built in that order. (Its
   * variant with a resolver fails when two files import the same third one.) A server may send
   * imports along, or leave the asking to us; both are allowed.
   */
  async #collect(file: FileDescriptorProto, found: Map<string, FileDescriptorProto>) {
    for (const name of file.dependency) {
      if (found.has(name)) continue
      if (!this.#files.has(name)) await this.#ask({ fileByFilename: name })
      const imported = this.#files.get(name)
      if (imported === undefined) throw new Error(`reflection: no file ${name}`)
      await this.#collect(imported, found)
    }
    found.set(file.name, file)
  }

  async #ask(question: JsonObject): Promise<Answer> {
    const answer = answerOf(await this.#dialogue.ask(question))
    for (const file of answer.files) this.#files.set(file.name, file)
    return answer
  }
}
