import type { ClientOf, HandlersOf, MethodShape } from '@serverless-ai/kernel'

/** A method whose messages are not known statically. */
export type AnyMethod = MethodShape<unknown, unknown>

/** A handler whose messages are not known statically. */
export type AnyHandler = (request: unknown, context: unknown) => unknown

function isRecord(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
}

function isMethod(value: unknown): value is AnyMethod {
  if (!isRecord(value)) return false
  const codecs = ['requestSerialize', 'requestDeserialize', 'responseSerialize']
  return (
    typeof value.path === 'string' &&
    typeof value.requestStream === 'boolean' &&
    typeof value.responseStream === 'boolean' &&
    [...codecs, 'responseDeserialize'].every((name) => typeof value[name] === 'function')
  )
}

/** Methods of definitions that were looked at before: clients are made for many a call. */
const known = new WeakMap<object, ReadonlyMap<string, AnyMethod>>()

/** Methods of a generated service definition, by name. */
export function methodsOf(service: unknown): ReadonlyMap<string, AnyMethod> {
  if (!isRecord(service)) throw new TypeError('not a service definition')
  let methods = known.get(service)
  if (methods === undefined) {
    methods = readMethods(service)
    known.set(service, methods)
  }
  return methods
}

function readMethods(service: Readonly<Record<string, unknown>>): ReadonlyMap<string, AnyMethod> {
  const methods = new Map<string, AnyMethod>()
  for (const [name, method] of Object.entries(service)) {
    if (!isMethod(method)) throw new TypeError(`${name} is not a method of a service definition`)
    methods.set(name, method)
  }
  return methods
}

/** The handler of every method; a missing one is an error of the program. */
export function handlersOf<S>(
  service: S,
  handlers: HandlersOf<S>,
): readonly { readonly method: AnyMethod; readonly handler: AnyHandler }[] {
  return [...methodsOf(service)].map(([name, method]) => {
    const found: unknown = Reflect.get(Object(handlers), name)
    if (typeof found !== 'function') throw new TypeError(`no handler for ${method.path}`)
    // Bound, so that a class with methods can implement a service.
    return { method, handler: (request, context) => found.call(handlers, request, context) }
  })
}

function isClientOf<S>(caller: object, service: S): caller is ClientOf<S> {
  return [...methodsOf(service).keys()].every((name) => Object.hasOwn(caller, name))
}

/** A typed client from one caller per method. */
export function clientFrom<S>(service: S, callerFor: (method: AnyMethod) => unknown): ClientOf<S> {
  const callers = [...methodsOf(service)].map(
    ([name, method]) => [name, callerFor(method)] as const,
  )
  const client = Object.fromEntries(callers)
  if (!isClientOf(client, service)) throw new TypeError('a caller is missing')
  return client
}

/** True for what a streaming handler has to return. */
export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return isRecord(value) && Symbol.asyncIterator in value
}

/**
 * Full names of the gRPC services in a definition, for example `serverlessai.job.v1.JobService`.
 */
export function serviceNamesOf(service: unknown): readonly string[] {
  const names = [...methodsOf(service).values()].map(({ path }) => path.split('/')[1] ?? '')
  return [...new Set(names)]
}
