import { fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt'
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from '@serverless-ai/contracts/grpc/reflection/v1/reflection'
import type { TransportServer } from '@serverless-ai/kernel'
import { CODE_NUMBERS } from './codes.ts'

type Answer = ServerReflectionResponse['messageResponse']

function* symbolsOf(message: DescriptorProto, prefix: string): Generator<string> {
  const name = `${prefix}${message.name}`
  yield name
  for (const field of message.field) yield `${name}.${field.name}`
  for (const nested of message.nestedType) yield* symbolsOf(nested, `${name}.`)
  for (const nested of message.enumType) yield `${name}.${nested.name}`
}

function* symbolsOfFile(file: FileDescriptorProto): Generator<string> {
  const prefix = file.package === '' ? '' : `${file.package}.`
  for (const message of file.messageType) yield* symbolsOf(message, prefix)
  for (const entry of file.enumType) yield `${prefix}${entry.name}`
  for (const service of file.service) {
    yield `${prefix}${service.name}`
    for (const method of service.method) yield `${prefix}${service.name}.${method.name}`
  }
}

/** Finds files of a descriptor set by name and symbol, each with all of its imports. */
class Catalogue {
  readonly #files = new Map<string, FileDescriptorProto>()
  readonly #bySymbol = new Map<string, FileDescriptorProto>()

  constructor(descriptorSet: Uint8Array) {
    for (const file of fromBinary(FileDescriptorSetSchema, descriptorSet).file) {
      this.#files.set(file.name, file)
      for (const symbol of symbolsOfFile(file)) this.#bySymbol.set(symbol, file)
    }
  }

  services(): readonly string[] {
    return [...this.#files.values()].flatMap((file) =>
      file.service.map((service) => `${file.package}.${service.name}`),
    )
  }

  byName(name: string): FileDescriptorProto | undefined {
    return this.#files.get(name)
  }

  bySymbol(symbol: string): FileDescriptorProto | undefined {
    return this.#bySymbol.get(symbol)
  }

  /** The file and its imports, serialized; clients resolve types without asking again. */
  closure(file: FileDescriptorProto): Buffer[] {
    const found = new Map<string, FileDescriptorProto>()
    const visit = (next: FileDescriptorProto | undefined) => {
      if (next === undefined || found.has(next.name)) return
      found.set(next.name, next)
      for (const name of next.dependency) visit(this.#files.get(name))
    }
    visit(file)
    return [...found.values()].map((each) => Buffer.from(toBinary(FileDescriptorProtoSchema, each)))
  }
}

function failure(code: 'NOT_FOUND' | 'UNIMPLEMENTED', errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode: CODE_NUMBERS[code], errorMessage } }
}

/** A server that can name what it serves. */
export interface ListsServices {
  /** Full names of the services added so far. */
  services(): readonly string[]
}

function servedBy(server: TransportServer & Partial<ListsServices>): readonly string[] | undefined {
  return server.services?.()
}

/**
 * Serves `grpc.reflection.v1.ServerReflection`.
 *
 * @param descriptorSet reads the serialized `google.protobuf.FileDescriptorSet` with all imports;
 *   called at the first question.
 * @param services full names of the services to list, asked at each call; by default those the
 * server
 *   serves (all of the set when it cannot tell).
 */
export function addReflection(
  server: TransportServer,
  descriptorSet: () => Uint8Array,
  services?: () => readonly string[],
): void {
  // Parsed at the first question: most processes are never asked.
  let parsed: Catalogue | undefined
  const files = (): Catalogue => {
    parsed ??= new Catalogue(descriptorSet())
    return parsed
  }
  const listed = services ?? (() => servedBy(server) ?? files().services())
  const withFile = (file: FileDescriptorProto | undefined, what: string): Answer => {
    if (file === undefined) return failure('NOT_FOUND', `${what} is not known here`)
    const fileDescriptorProto = files().closure(file)
    return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } }
  }
  const answer = ({ messageRequest: asked }: ServerReflectionRequest): Answer => {
    switch (asked?.$case) {
      case 'listServices': {
        const service = listed().map((name) => ({ name }))
        return { $case: 'listServicesResponse', value: { service } }
      }
      case 'fileByFilename':
        return withFile(files().byName(asked.value), asked.value)
      case 'fileContainingSymbol':
        return withFile(files().bySymbol(asked.value.replace(/^\./, '')), asked.value)
      case 'allExtensionNumbersOfType':
      case 'fileContainingExtension':
        return failure('NOT_FOUND', 'no extensions are used')
      default:
        return failure('UNIMPLEMENTED', 'unknown question')
    }
  }
  server.add(ServerReflectionService, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const messageResponse = answer(request)
        yield { validHost: request.host, originalRequest: request, messageResponse }
      }
    },
  })
}
