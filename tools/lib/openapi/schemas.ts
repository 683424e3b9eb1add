import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf'
import { ScalarType } from '@bufbuild/protobuf'

type Schema = Readonly<Record<string, unknown>>
/** Comment of a thing, as one line. */
export type Comments = (of: DescMessage | DescField | DescEnum) => string

const NUMBER: Schema = {
  anyOf: [{ type: 'number' }, { type: 'string', enum: ['NaN', 'Infinity', '-Infinity'] }],
}
const LONG = (format: string): Schema => ({ type: 'string', format })

/** The JSON mapping of proto3: 64-bit integers are texts, bytes are Base64. */
const SCALARS: Readonly<Partial<Record<ScalarType, Schema>>> = {
  [ScalarType.DOUBLE]: NUMBER,
  [ScalarType.FLOAT]: NUMBER,
  [ScalarType.INT32]: { type: 'integer', format: 'int32' },
  [ScalarType.UINT32]: { type: 'integer', format: 'int64', minimum: 0 },
  [ScalarType.INT64]: LONG('int64'),
  [ScalarType.UINT64]: LONG('uint64'),
  [ScalarType.BOOL]: { type: 'boolean' },
  [ScalarType.STRING]: { type: 'string' },
  [ScalarType.BYTES]: { type: 'string', format: 'byte' },
}

/** `serverlessai.job.v1.Job.State` is `job.v1.Job.State`: short, and unique in the product. */
export const schemaName = ({ typeName }: { readonly typeName: string }): string =>
  typeName.replace(/^serverlessai\./, '')

const ref = (of: { readonly typeName: string }): Schema => ({
  $ref: `#/components/schemas/${schemaName(of)}`,
})

function scalarOf(scalar: ScalarType | undefined): Schema {
  const schema = scalar === undefined ? undefined : SCALARS[scalar]
  if (schema === undefined) throw new Error(`no JSON for scalar ${scalar}`)
  return schema
}

/** One value of a field. */
export function valueSchema(field: DescField): Schema {
  if (field.message !== undefined) return ref(field.message)
  if (field.enum !== undefined) return ref(field.enum)
  return scalarOf(field.scalar)
}

/** A field as it stands in a message. */
function fieldSchema(field: DescField): Schema {
  if (field.fieldKind === 'list') return { type: 'array', items: valueSchema(field) }
  if (field.fieldKind === 'map') {
    return { type: 'object', additionalProperties: valueSchema(field) }
  }
  return valueSchema(field)
}

function messageSchema(message: DescMessage, comments: Comments): Schema {
  const properties = message.fields.map((field) => [
    field.jsonName,
    { ...fieldSchema(field), description: comments(field) },
  ])
  return {
    type: 'object',
    description: comments(message),
    ...(properties.length > 0 && { properties: Object.fromEntries(properties) }),
    additionalProperties: false,
  }
}

const enumSchema = (of: DescEnum, comments: Comments): Schema => ({
  type: 'string',
  description: comments(of),
  enum: of.values.map(({ name }) => name),
})

/** Schemas of messages with everything that they are made of, by name. */
export function schemasOf(
  roots: readonly DescMessage[],
  comments: Comments,
): Readonly<Record<string, Schema>> {
  const found = new Map<string, Schema>()
  const add = (message: DescMessage): void => {
    const name = schemaName(message)
    if (found.has(name)) return
    found.set(name, messageSchema(message, comments))
    for (const field of message.fields) {
      if (field.message !== undefined) add(field.message)
      if (field.enum !== undefined)
        found.set(schemaName(field.enum), enumSchema(field.enum, comments))
    }
  }
  for (const root of roots) add(root)
  return Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
