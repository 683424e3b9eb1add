import { createFileRegistry, type DescMessage, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

const PACKAGE = 'serverlessai.events.v1'

/** A public event as the protos tell it. */
export interface EventEntry {
  /** Short name, for example `GangPlaced`. */
  readonly name: string
  /** Full proto message name: `ce_type`. */
  readonly type: string
  /** What happened, without the key. */
  readonly summary: string
  /** What its key is, for example `job id`. */
  readonly key: string
  readonly fields: readonly FieldEntry[]
}

/** A field of an event. */
export interface FieldEntry {
  readonly name: string
  /** Type as it is written in the proto. */
  readonly type: string
  readonly meaning: string
}

/** The events of one service: one topic. */
export interface OwnerEntry {
  /** For example `pool-manager`. */
  readonly service: string
  readonly topic: string
  /** Path of the proto file below `proto/`. */
  readonly file: string
  readonly events: readonly EventEntry[]
}

/** All public events and the types that they are made of. */
export interface Catalogue {
  readonly owners: readonly OwnerEntry[]
  /** For JSON examples. */
  readonly messageOf: (type: string) => DescMessage
  readonly registry: ReturnType<typeof createFileRegistry>
}

/** Comment above the thing at a path of the descriptor, as one line. */
function commentAt(file: FileDescriptorProto, path: readonly number[]): string {
  const wanted = path.join()
  const found = file.sourceCodeInfo?.location.find((each) => each.path.join() === wanted)
  return (found?.leadingComments ?? '').trim().replace(/\s+/g, ' ')
}

const MESSAGES = 4
const FIELDS = 2
const KEY = /\s*Key: ([^.]+)\./

/** Reads the events from a descriptor set with comments. Throws when one has no owner or key. */
export function readCatalogue(descriptorSet: Uint8Array): Catalogue {
  const set = fromBinary(FileDescriptorSetSchema, descriptorSet)
  const registry = createFileRegistry(set)
  const messageOf = (type: string): DescMessage => {
    const message = registry.getMessage(type)
    if (message === undefined) throw new Error(`no message ${type}`)
    return message
  }
  const files = set.file
    .filter((file) => file.package === PACKAGE)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const owners = files.map((file): OwnerEntry => {
    const service = file.name.replace(/^.*\/|\.proto$/g, '').replaceAll('_', '-')
    const events = file.messageType.flatMap(({ name }, index): EventEntry[] => {
      const comment = commentAt(file, [MESSAGES, index])
      const key = KEY.exec(comment)?.[1]
      // A part of an event has no key of its own.
      if (key === undefined) return []
      const type = `${PACKAGE}.${name}`
      const fields = fieldsOf(messageOf(type), (at) =>
        commentAt(file, [MESSAGES, index, FIELDS, at]),
      )
      return [{ name, type, summary: comment.replace(KEY, ''), key, fields }]
    })
    if (events.length === 0) throw new Error(`${file.name} has no event with a key`)
    return { service, topic: `serverlessai.events.${service}.v1`, file: file.name, events }
  })
  return { owners, messageOf, registry }
}

const SCALARS: Readonly<Record<number, string>> = {
  1: 'double',
  2: 'float',
  3: 'int64',
  4: 'uint64',
  5: 'int32',
  8: 'bool',
  9: 'string',
  12: 'bytes',
  13: 'uint32',
}

function fieldsOf(message: DescMessage, comment: (index: number) => string): FieldEntry[] {
  return message.fields.map((field, index) => {
    const one =
      field.message?.typeName ?? field.enum?.typeName ?? SCALARS[field.scalar ?? 0] ?? 'unknown'
    const short = one.replace(/^serverlessai\./, '')
    const type =
      field.fieldKind === 'map'
        ? `map<string, ${short}>`
        : field.fieldKind === 'list'
          ? `repeated ${short}`
          : short
    return { name: field.name, type, meaning: comment(index) }
  })
}
