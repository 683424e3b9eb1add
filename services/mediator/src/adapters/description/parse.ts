import { nearest } from '@serverless-ai/config'
import { stringify } from 'yaml'
import type { z } from 'zod'
import type { JobSpec } from '../../core/job-spec.ts'
import { type Amount, parseCpu, parseDuration, parseLogSize, parseMemory } from './amounts.ts'
import { type Located, type Path, type Problem, readDocument } from './document.ts'
import { DESCRIPTION_MAX_BYTES, type Description, descriptionSchema } from './schema.ts'
import { elasticOf, serviceOf, writeElastic, writeService } from './serving.ts'

/** Problems told at once. */
export const PROBLEMS_MAX = 20

export type Parsed =
  | { readonly ok: true; readonly spec: JobSpec }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/**
 * Reads a job description, YAML or JSON.
 *
 * @returns the job with all defaults, or all problems (at most 20) with line and column.
 */
export function parseDescription(text: string): Parsed {
  const bytes = Buffer.byteLength(text)
  if (bytes > DESCRIPTION_MAX_BYTES) {
    const message = `has ${bytes} bytes; a description has at most ${DESCRIPTION_MAX_BYTES} (1 MiB)`
    return { ok: false, problems: [{ field: '', line: 1, column: 1, message }] }
  }
  const plain = writtenByProgram(text)
  const read = plain === undefined ? undefined : descriptionSchema.safeParse(plain)
  if (read?.success === true) return { ok: true, spec: toSpec(read.data) }
  const document = readDocument(text)
  if ('problems' in document) return failed(document.problems)
  const parsed = descriptionSchema.safeParse(document.value, { error: say })
  if (parsed.success) return { ok: true, spec: toSpec(parsed.data) }
  return failed(parsed.error.issues.flatMap((issue) => toProblems(issue, document)))
}

/**
 * The value of a text that is JSON as programs write it, to the letter: YAML says the same of it,
 * in a hundred times the time. Undefined for all else; what is wrong with it is for YAML to say.
 */
function writtenByProgram(text: string): unknown {
  // YAML's reader does not take such a name.
  if (!text.startsWith('{') || text.includes('__proto__')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    // No key is there twice, no number is lost: else it would not be written like this.
    return JSON.stringify(value) === text ? value : undefined
  } catch {
    return undefined
  }
}

function failed(problems: readonly Problem[]): Parsed {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column)
  return { ok: false, problems: sorted.slice(0, PROBLEMS_MAX) }
}

function toProblems(issue: z.core.$ZodIssue, document: Located): Problem[] {
  const path = issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
  if (issue.code === 'unrecognized_keys') {
    const known = fieldsAt(path)
    return issue.keys.map((key) => {
      const meant = nearest(key, known) ?? known.find((name) => same(name, key))
      const hint =
        meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`
      return document.problemAt([...path, key], `is not a known field; ${hint}`, 'key')
    })
  }
  if (issue.code === 'invalid_key') {
    const [inner] = issue.issues
    return [document.problemAt(path, inner?.message ?? issue.message, 'key')]
  }
  return [document.problemAt(path, issue.message)]
}

const same = (a: string, b: string): boolean =>
  a.toLowerCase() === b.toLowerCase().replaceAll(/[-_]/g, '')

/** The fields that are known in the object at `path`. */
function fieldsAt(path: Path): readonly string[] {
  let at: unknown = descriptionSchema
  for (const key of path) at = shapeOf(at)?.[key]
  return Object.keys(shapeOf(at) ?? {})
}

function shapeOf(schema: unknown): Record<string | number, unknown> | undefined {
  let at = schema
  while (typeof at === 'object' && at !== null && '_zod' in at) {
    if ('shape' in at) return Object.fromEntries(Object.entries(at.shape ?? {}))
    at = 'unwrap' in at && typeof at.unwrap === 'function' ? at.unwrap() : undefined
  }
  return undefined
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a group of fields',
  record: 'a group of fields',
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a group of fields'
  return typeof value === 'string' ? 'text' : String(value)
}

/** The sentence for an issue whose schema has none of its own. */
function say(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = KINDS[issue.expected] ?? issue.expected
      if (issue.input === undefined) return `is missing; it must be ${wanted}`
      const quote = issue.expected === 'string' ? ' (quote it to make it text)' : ''
      return `must be ${wanted}, but is ${kindOf(issue.input)}${quote}`
    }
    case 'invalid_value':
      return issue.input === undefined
        ? `is missing; it must be ${issue.values.join(' or ')}`
        : `must be ${issue.values.join(' or ')}`
    case 'too_small':
      return `must ${verbOf(issue.origin)} at least ${issue.minimum}${unitOf(issue.origin)}`
    case 'too_big':
      return `must ${verbOf(issue.origin)} at most ${issue.maximum}${unitOf(issue.origin)}`
    default:
      return undefined
  }
}

const verbOf = (origin: string): string => (origin === 'number' || origin === 'int' ? 'be' : 'have')

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' ? ' items' : ''
}

function amountOf(amount: Amount): number {
  if (!amount.ok) throw new TypeError(`validated amount: ${amount.problem}`)
  return amount.value
}

function toSpec({ metadata, spec }: Description): JobSpec {
  const { resources, retry, log } = spec
  return {
    name: metadata.name,
    queue: spec.queue,
    type: spec.type,
    tasks: spec.tasks,
    resources: {
      devices: resources.devices,
      deviceModels: resources.deviceModels,
      cpuMillis: amountOf(parseCpu(resources.cpu)),
      memoryMib: amountOf(parseMemory(resources.memory)),
    },
    command: spec.command,
    env: spec.env,
    workspace: spec.workspace,
    ports: spec.ports,
    exclusive: spec.exclusive,
    retry: {
      maxRestarts: retry.maxRestarts,
      onUserError: retry.onUserError,
      backoffMs: amountOf(parseDuration(retry.backoff)),
    },
    stopGracePeriodMs: amountOf(parseDuration(spec.stopGracePeriod)),
    waitForCapacity: spec.waitForCapacity,
    logMaxBytes: amountOf(parseLogSize(log.maxSize)),
    priority: spec.priority,
    ...(spec.type === 'Inference' ? { service: serviceOf(spec) } : {}),
    ...(spec.elastic === undefined ? {} : { elastic: elasticOf(spec.elastic) }),
  }
}

function duration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}

/** A job is shown again and again, and what it was described as never changes. */
const rendered = new WeakMap<JobSpec, string>()

/** The description with all defaults, YAML. Reading it gives the same job. */
export function renderDescription(job: JobSpec): string {
  let text = rendered.get(job)
  if (text === undefined) {
    text = render(job)
    rendered.set(job, text)
  }
  return text
}

function render(job: JobSpec): string {
  const { name, queue, type, tasks, resources, retry } = job
  return stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      type,
      queue,
      tasks,
      resources: {
        devices: resources.devices,
        deviceModels: resources.deviceModels,
        cpu: `${resources.cpuMillis}m`,
        memory: `${resources.memoryMib}Mi`,
      },
      command: job.command,
      env: job.env,
      workspace: job.workspace,
      ports: job.ports,
      exclusive: job.exclusive,
      retry: {
        maxRestarts: retry.maxRestarts,
        onUserError: retry.onUserError,
        backoff: duration(retry.backoffMs),
      },
      stopGracePeriod: duration(job.stopGracePeriodMs),
      waitForCapacity: job.waitForCapacity,
      log: { maxSize: `${Math.ceil(job.logMaxBytes / 1024)}Ki` },
      priority: job.priority,
      ...(job.service === undefined ? {} : writeService(job.service)),
      ...(job.elastic === undefined ? {} : writeElastic(job.elastic)),
    },
  })
}
