import type { DescField, DescFile, DescMessage } from '@bufbuild/protobuf'
import { stringify } from 'yaml'
import { type HttpRule, readHttpRules } from '../../../libs/contracts/src/http-rules.ts'
import { type Comments, schemaName, schemasOf, valueSchema } from './schemas.ts'

const ABOUT =
  `The API of the platform by HTTP and JSON. Every operation is a gRPC method of the same
name, with the same tokens, tenants and errors; messages follow the JSON mapping of proto3 (64-bit
integers are texts, bytes are Base64, fields at their default may be left out of requests). Streams
are server-sent events: the \`id\` of an event is its position, and a caller that comes back with
\`Last-Event-ID\` goes on right behind it. Requests to services of tenants (\`/services/…\`,
\`/v1/chat/completions\`) are not part of this document.`.replaceAll('\n', ' ')

/** Comment above the thing at a path of a file's descriptor, as one line. */
function commentAt({ proto }: DescFile, path: readonly number[]): string {
  const wanted = path.join()
  const found = proto.sourceCodeInfo?.location.find((each) => each.path.join() === wanted)
  return (found?.leadingComments ?? '').trim().replace(/\s+/g, ' ')
}

const MESSAGES = 4
const ENUMS = 5
const SERVICES = 6
const [FIELDS, NESTED, NESTED_ENUMS, METHODS] = [2, 3, 4, 2]

function pathOfMessage(message: DescMessage): readonly number[] {
  const { parent, file } = message
  if (parent === undefined) return [MESSAGES, file.messages.indexOf(message)]
  return [...pathOfMessage(parent), NESTED, parent.nestedMessages.indexOf(message)]
}

const comments: Comments = (of) => {
  if (of.kind === 'field') {
    const { parent } = of
    return commentAt(parent.file, [...pathOfMessage(parent), FIELDS, parent.fields.indexOf(of)])
  }
  if (of.kind === 'message') return commentAt(of.file, pathOfMessage(of))
  const { parent, file } = of
  const path =
    parent === undefined
      ? [ENUMS, file.enums.indexOf(of)]
      : [...pathOfMessage(parent), NESTED_ENUMS, parent.nestedEnums.indexOf(of)]
  return commentAt(file, path)
}

const ref = (message: DescMessage) => ({ $ref: `#/components/schemas/${schemaName(message)}` })

const errors = { $ref: '#/components/responses/Error' }

function queryParameter(field: DescField): object {
  const schema = valueSchema(field)
  return {
    name: field.jsonName,
    in: 'query',
    description: comments(field),
    schema: field.fieldKind === 'list' ? { type: 'array', items: schema } : schema,
    ...(field.fieldKind === 'list' && { explode: true }),
  }
}

function parametersOf({ method, pathFields, body }: HttpRule): readonly object[] {
  const inPath = pathFields.map((name) => {
    const field = method.input.fields.find((each) => each.name === name)!
    const schema = valueSchema(field)
    const { jsonName } = field
    return { name: jsonName, in: 'path', required: true, description: comments(field), schema }
  })
  if (body) return inPath
  const others = method.input.fields.filter(
    ({ name, message }) => !pathFields.includes(name) && message === undefined,
  )
  const resumes = method.input.fields.some(({ name }) => name === 'resume_after')
  const last = {
    name: 'Last-Event-ID',
    in: 'header',
    description: 'Goes on behind the event with this id; stands for `resumeAfter`.',
    schema: { type: 'string' },
  }
  return [...inPath, ...others.map(queryParameter), ...(resumes ? [last] : [])]
}

function answersOf({ method }: HttpRule): object {
  if (method.methodKind === 'server_streaming') {
    const description =
      'Events; `data` is a message in JSON, `heartbeat` events carry a position alone, an ' +
      '`error` event ends a stream that failed.'
    const schema = { type: 'string', 'x-event-data': ref(method.output).$ref }
    return {
      200: { description, content: { 'text/event-stream': { schema } } },
      204: { description: 'Nothing more will come.' },
      default: errors,
    }
  }
  const content = { 'application/json': { schema: ref(method.output) } }
  return { 200: { description: comments(method.output), content }, default: errors }
}

function operationOf(rule: HttpRule): object {
  const { method, body } = rule
  const { parent } = method
  const { file } = parent
  const path = [SERVICES, file.services.indexOf(parent), METHODS, parent.methods.indexOf(method)]
  const text = commentAt(file, path)
  const [summary = ''] = text.split(/(?<=\.) /)
  const parameters = parametersOf(rule)
  return {
    operationId: method.name,
    tags: [parent.name],
    summary,
    description: text,
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: ref(method.input) } },
      },
    }),
    responses: answersOf(rule),
  }
}

/** Paths have the JSON names of fields. */
function pathOf({ template, method }: HttpRule): string {
  return template.replace(/\{([a-z0-9_]+)\}/g, (_, name: string) => {
    const field = method.input.fields.find((each) => each.name === name)
    return `{${field?.jsonName ?? name}}`
  })
}

const ERROR = {
  description: 'A refusal or a failure: AIP-193. `reason` is one of docs/reference/errors.md.',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        required: ['error'],
        properties: {
          error: {
            type: 'object',
            required: ['code', 'status', 'message', 'details'],
            properties: {
              code: { type: 'integer', description: 'HTTP status.' },
              status: { type: 'string', description: 'Canonical gRPC code.' },
              message: { type: 'string', description: 'For people.' },
              details: {
                type: 'array',
                description: '`google.rpc.ErrorInfo` always, `BadRequest`, `RetryInfo`.',
                items: {
                  type: 'object',
                  required: ['@type'],
                  properties: {
                    '@type': { type: 'string' },
                    reason: { type: 'string', description: 'Stable code.' },
                    domain: { type: 'string' },
                    metadata: { type: 'object', additionalProperties: { type: 'string' } },
                  },
                  additionalProperties: true,
                },
              },
            },
          },
        },
      },
    },
  },
}

/** The OpenAPI 3.1 document of all methods with `google.api.http`. */
export function openApiDocument(descriptorSet: Uint8Array): object {
  const { rules } = readHttpRules(descriptorSet)
  const paths: Record<string, Record<string, object>> = {}
  for (const rule of rules.toSorted((a, b) => (pathOf(a) < pathOf(b) ? -1 : 1))) {
    const path = pathOf(rule)
    const operations = paths[path] ?? {}
    paths[path] = operations
    if (operations[rule.verb] !== undefined) throw new Error(`${rule.verb} ${path} stands twice`)
    operations[rule.verb] = operationOf(rule)
  }
  const messages = rules.flatMap(({ method, body }) =>
    body ? [method.input, method.output] : [method.output],
  )
  const enums = rules.flatMap(({ method, body }) => (body ? [] : [method.input]))
  const tags = [...new Set(rules.map(({ method }) => method.parent))].map((service) => ({
    name: service.name,
    description: commentAt(service.file, [SERVICES, service.file.services.indexOf(service)]),
  }))
  return {
    openapi: '3.1.0',
    info: {
      title: 'serverless-ai',
      version: 'v1',
      description: ABOUT,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:7072', description: 'The edge of `npm start`.' }],
    security: [{ token: [] }],
    tags: tags.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      responses: { Error: ERROR },
      schemas: schemasOf([...messages, ...enums], comments),
    },
  }
}

/** The document as text. */
export const openApiYaml = (document: object): string =>
  `# Generated by npm run gen from the protos. Do not edit.\n${stringify(document, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
  })}`
