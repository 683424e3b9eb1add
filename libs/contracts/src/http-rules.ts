import {
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getOption,
  isMessage,
  type JsonObject,
  toJson,
} from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

/** HTTP methods of `google.api.HttpRule`. */
const VERBS = ['get', 'put', 'post', 'delete', 'patch'] as const
export type HttpVerb = (typeof VERBS)[number]

/** How a method is called by HTTP and JSON, as its `google.api.http` says. */
export interface HttpRule {
  readonly method: DescMethod
  readonly verb: HttpVerb
  /** For example `/v1/jobs/{job_id}:watch`. */
  readonly template: string
  /** Names of the fields in the path, as in the proto, in order. */
  readonly pathFields: readonly string[]
  /** True = the body is the request, but for what stands in the path; else there is none. */
  readonly body: boolean
}

const FIELD = /\{([a-z0-9_]+)\}/g

function ruleOf(method: DescMethod, registry: FileRegistry): HttpRule | undefined {
  const extension = registry.getExtension('google.api.http')
  if (extension?.message === undefined || method.proto.options === undefined) return undefined
  const option = getOption(method, extension)
  if (!isMessage(option)) return undefined
  const json = toJson(extension.message, option, { registry }) as JsonObject
  const verb = VERBS.find((each) => typeof json[each] === 'string')
  if (verb === undefined) return undefined
  const template = String(json[verb])
  const pathFields = [...template.matchAll(FIELD)].map(([, name = '']) => name)
  const known = new Set(method.input.fields.map(({ name }) => name))
  const strange = pathFields.find((name) => !known.has(name))
  if (strange !== undefined) throw new Error(`${method.name}: ${template} has no field ${strange}`)
  const { body } = json
  if (body !== undefined && body !== '*') throw new Error(`${method.name}: body must be "*"`)
  return { method, verb, template, pathFields, body: body === '*' }
}

/** All methods of a descriptor set that can be called by HTTP, in the order of the protos. */
export function readHttpRules(descriptorSet: Uint8Array): {
  readonly rules: readonly HttpRule[]
  readonly registry: FileRegistry
} {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptorSet))
  const rules: HttpRule[] = []
  for (const type of registry) {
    if (type.kind !== 'service') continue
    for (const method of type.methods) {
      const rule = ruleOf(method, registry)
      if (rule !== undefined) rules.push(rule)
    }
  }
  return { rules, registry }
}
