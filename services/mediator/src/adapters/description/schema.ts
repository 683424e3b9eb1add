import { z } from 'zod'
import { RESERVED_ENV } from '../../core/launch/torchrun.ts'
import { count, cpu, duration, logSize, memory, name } from './fields.ts'
import { conflicts, elastic, model, replicas, serve } from './serving.ts'

/** Largest description, bytes of UTF-8. */
export const DESCRIPTION_MAX_BYTES = 1024 * 1024
const ENV_MAX = 256
const TEXT_MAX = 32 * 1024
const LAUNCH_TEXT_MAX = 128 * 1024

// A program gets its words and variables as C strings: a NUL would end them early.
const text = () =>
  z
    .string()
    .max(TEXT_MAX)
    .refine((value) => !value.includes('\0'), 'must not contain a NUL character')

const command = z
  .array(text())
  .min(1)
  .max(1024)
  .superRefine(([program], context) => {
    if (program !== '') return
    context.addIssue({ code: 'custom', message: 'must name a program', path: [0] })
  })

const env = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, 'is not a name of a variable'), text())
  .superRefine((variables, context) => {
    const names = Object.keys(variables)
    if (names.length > ENV_MAX) {
      context.addIssue({ code: 'custom', message: `must have at most ${ENV_MAX} variables` })
    }
    for (const variable of names) {
      if (!isReserved(variable)) continue
      const message = 'is set by the platform and cannot be set here'
      context.addIssue({ code: 'custom', message, path: [variable] })
    }
  })

const isReserved = (variable: string): boolean =>
  variable.startsWith('SAI_') || RESERVED_ENV.includes(variable)

const resources = z.strictObject({
  devices: count(0, 1024).default(1).describe('whole accelerators of each task'),
  deviceModels: z
    .array(z.string().min(1).max(128))
    .max(32)
    .default([])
    .describe('models that will do, exact or with a trailing *; empty = any'),
  cpu: cpu().default('500m').describe('CPU of each task: 500m, 2, 0.5'),
  memory: memory().default('512Mi').describe('memory of each task: 512Mi, 2Gi'),
})

const retry = z.strictObject({
  maxRestarts: count(0, 1000).default(3).describe('restarts after failures, in all'),
  onUserError: count(0, 1000)
    .default(0)
    .describe("of those, restarts after the program's own errors"),
  backoff: duration().default('1s').describe('wait before the first restart; doubles'),
})

const spec = z
  .strictObject({
    type: z
      .enum(['Training', 'Inference'])
      .default('Training')
      .describe('kind of workload: a gang of tasks, or replicas of a model server'),
    queue: name().describe('queue of the tenant'),
    tasks: count(1, 16_384)
      .default(1)
      .describe('tasks (workers), of each replica; they start together'),
    resources: resources.prefault({}).describe('what each task needs'),
    command: command.describe('program and arguments'),
    env: env.default({}).describe('environment of all tasks; values are text'),
    workspace: z
      .string()
      .regex(
        /^(sha256:[0-9a-f]{64})?$/,
        'must be "sha256:" and 64 hex digits, as an upload returned it',
      )
      .default('')
      .describe('uploaded directory the tasks start in; empty = an empty one'),
    ports: count(1, 16).default(1).describe('ports of rank 0; the first is MASTER_PORT'),
    exclusive: z
      .boolean()
      .default(false)
      .describe('outside effects: never run two generations at once'),
    retry: retry.prefault({}).describe('what happens after a failure'),
    stopGracePeriod: duration().default('3s').describe('time between SIGTERM and SIGKILL'),
    waitForCapacity: z
      .boolean()
      .default(false)
      .describe('wait even if the fleet as it is can never hold the job'),
    log: z
      .strictObject({
        maxSize: logSize().default('16Mi').describe('size of a log file before rotation'),
      })
      .prefault({})
      .describe('logs of each task'),
    priority: count(-1000, 1000).default(0).describe('order inside the queue, higher first'),
    replicas: replicas.optional().describe('Inference: how many replicas'),
    serve: serve.optional().describe('Inference: what is served, and how'),
    model: model.optional().describe('Inference: the trained model that replicas are given'),
    elastic: elastic.optional().describe('Training: the number of tasks may change'),
  })
  .superRefine((value, context) => {
    for (const { path, message } of conflicts(value)) {
      context.addIssue({ code: 'custom', message, path })
    }
    const words = [...value.command, ...Object.entries(value.env).flat()]
    const length = words.reduce((sum, word) => sum + word.length, 0)
    if (length <= LAUNCH_TEXT_MAX) return
    const message = `command and env together must have at most ${LAUNCH_TEXT_MAX} characters`
    context.addIssue({ code: 'custom', message, path: ['command'] })
  })

/** The job description `serverlessai.job/v1`. */
export const descriptionSchema = z
  .strictObject({
    apiVersion: z.literal('serverlessai.job/v1'),
    kind: z.literal('Job'),
    metadata: z.strictObject({ name: name().describe('name of the job') }),
    spec: spec.describe('what to run'),
  })
  .describe('Job description of serverless-ai')

/** A description with all defaults. */
export type Description = z.output<typeof descriptionSchema>

/** The published JSON Schema. */
export function descriptionJsonSchema(): object {
  return z.toJSONSchema(descriptionSchema, { io: 'input', target: 'draft-2020-12' })
}
