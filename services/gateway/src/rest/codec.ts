import {
  type DescField,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  ScalarType,
  toBinary,
  toJson,
} from '@bufbuild/protobuf'
import type { HttpRule } from '@serverless-ai/contracts'
import type { FieldViolation } from '@serverless-ai/kernel'
import { rpcError } from '@serverless-ai/rpc'

/** A method as the transport calls it, without generated code. */
function shapeOf(method: DescMethod) {
  const { input, output } = method
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestSerialize: (message: Message) => toBinary(input, message),
    requestDeserialize: (bytes: Uint8Array): Message => fromBinary(input, bytes),
    responseSerialize: (message: Message) => toBinary(output, message),
    responseDeserialize: (bytes: Uint8Array): Message => fromBinary(output, bytes),
  }
}

/** A method with one answer. */
export const unaryOf = (method: DescMethod) => ({
  call: { ...shapeOf(method), requestStream: false, responseStream: false } as const,
})

/** A method with a stream of answers. */
export const streamOf = (method: DescMethod) => ({
  call: { ...shapeOf(method), requestStream: false, responseStream: true } as const,
})

function invalid(field: string, description: string) {
  const violations: readonly FieldViolation[] = [{ field, description }]
  const message = `INVALID_ARGUMENT: ${field}: ${description}`
  return rpcError('INVALID_ARGUMENT', { message, violations })
}

/** Text of a path or query as the JSON value of a field. */
function jsonValueOf(field: DescField, text: string): JsonValue {
  if (field.scalar !== ScalarType.BOOL) return text
  if (text === 'true' || text === '') return true
  if (text === 'false') return false
  throw invalid(field.jsonName, 'must be true or false')
}

function fieldOf(method: DescMethod, name: string): DescField {
  const field = method.input.fields.find((each) => each.jsonName === name || each.name === name)
  if (field === undefined) throw invalid(name, 'the request has no such field')
  const plain = field.fieldKind === 'scalar' || field.fieldKind === 'enum'
  const list = field.fieldKind === 'list' && field.listKind !== 'message'
  if (!plain && !list) throw invalid(name, 'cannot stand in a query')
  return field
}

function jsonObjectOf(body: Buffer): JsonObject {
  let value: JsonValue
  try {
    value = body.length === 0 ? {} : JSON.parse(body.toString('utf8'))
  } catch {
    throw invalid('body', 'is no JSON')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw invalid('body', 'must be a JSON object')
}

/** What a decoder says, without the name of the message. */
const why = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(
    /^cannot decode message [\w.]+ from JSON: /,
    '',
  )

/**
 * Fails with the name that the caller knows: a decoder of the whole message says where its JSON is
 * wrong, and callers have written none.
 */
function checkValue(
  about: { method: DescMethod; field: DescField; name: string; registry: FileRegistry },
  value: JsonValue,
): void {
  const { method, field, name, registry } = about
  try {
    fromJson(method.input, { [field.jsonName]: value }, { registry })
  } catch (error) {
    const known = field.enum?.values.map((each) => each.name).join(', ')
    const said = why(error).replace(/^cannot decode field [\w.]+ from JSON: /, '')
    throw invalid(name, known === undefined ? said : `is none of ${known}`)
  }
}

/** What an HTTP request says. */
export interface RestRequest {
  readonly path: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: Buffer
}

/**
 * The request message of an HTTP request: body, then query, then path, by the JSON mapping of
 * proto3.
 * @throws `INVALID_ARGUMENT` with the field
 */
export function requestOf(rule: HttpRule, registry: FileRegistry, from: RestRequest): Message {
  const { method } = rule
  const json: JsonObject = rule.body ? jsonObjectOf(from.body) : {}
  for (const name of new Set(from.query.keys())) {
    if (rule.body) throw invalid(name, 'belongs into the body')
    const field = fieldOf(method, name)
    const values = from.query.getAll(name).map((text) => jsonValueOf(field, text))
    if (field.fieldKind !== 'list' && values.length > 1) throw invalid(name, 'stands twice')
    const value = field.fieldKind === 'list' ? values : values[0]!
    checkValue({ method, field, name, registry }, value)
    json[field.jsonName] = value
  }
  for (const [name, text] of Object.entries(from.path)) {
    const field = fieldOf(method, name)
    const said = json[field.jsonName] ?? json[field.name]
    if (said !== undefined && said !== text) throw invalid(field.jsonName, 'differs from the path')
    checkValue({ method, field, name: field.jsonName, registry }, text)
    delete json[field.name]
    json[field.jsonName] = text
  }
  try {
    return fromJson(method.input, json, { registry })
  } catch (error) {
    throw invalid('body', why(error))
  }
}

/** The JSON of an answer; fields at their default are there as well. */
export const answerOf = (
  method: DescMethod,
  registry: FileRegistry,
  message: Message,
): JsonObject => {
  const json = toJson(method.output, message, { registry, alwaysEmitImplicit: true })
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? json : {}
}
