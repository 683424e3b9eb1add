import { z } from 'zod'
import type { ElasticSpec, ServiceSpec } from '../../core/job-spec.ts'
import { count, duration, durationOf, name } from './fields.ts'
import { scaling, scalingConflicts, scalingOf, writeScaling } from './scaling.ts'

/** What an Inference job adds to a description, and what an elastic Training job adds. */

const PATH = /^\/[!-~]{0,1023}$/

const readiness = z.strictObject({
  httpGet: z
    .string()
    .regex(PATH, 'must be a path that starts with "/", at most 1024 characters, no spaces')
    .optional()
    .describe('path of a GET that answers 200 to 399 when a replica can take requests'),
  tcp: z
    .boolean()
    .optional()
    .describe('ready as soon as the port takes connections; the default without httpGet'),
  period: duration().default('1s').describe('time between two questions, 100ms to 5m'),
  timeout: duration().default('1s').describe('an answer that takes longer is a bad one'),
  failureThreshold: count(1, 100).default(3).describe('bad answers in a row: not ready'),
  successThreshold: count(1, 100).default(1).describe('good answers in a row: ready'),
  startupDeadline: duration()
    .default('120s')
    .describe('a replica that is not ready by then is replaced'),
})

const update = z.strictObject({
  maxSurge: count(0, 1000).default(1).describe('replicas above the wanted number meanwhile'),
  maxUnavailable: count(0, 1000)
    .default(0)
    .describe('replicas below the wanted number that may be missing meanwhile'),
})

/** How many replicas an Inference job has. */
export const replicas = z.strictObject({
  min: count(0, 1000).default(1).describe('fewest; 0 = it may be scaled to zero'),
  max: count(1, 1000).optional().describe('most; default: min, at least 1'),
  initial: count(0, 1000).optional().describe('at first; default: min, at least 1'),
})

/** What an Inference job serves, and how. */
export const serve = z.strictObject({
  protocol: z
    .enum(['http1', 'http2', 'grpc', 'openai'])
    .default('http1')
    .describe('what speaks at the first port of each replica'),
  port: name().default('http').describe('name of that port; its number is in PORT'),
  concurrency: count(0, 1_000_000).default(0).describe('requests of a replica at once; 0 = any'),
  tokens: count(0, 1_000_000_000).default(0).describe('tokens of a replica at once; 0 = any'),
  affinity: z
    .enum(['none', 'session'])
    .default('none')
    .describe('session: requests of one session go to one replica'),
  class: name().default('standard').describe('class of requests that name none'),
  objectives: z.array(name()).max(16).default([]).describe('objectives that hold for it'),
  drain: duration().default('10s').describe('time of a replica that goes for what it has'),
  update: update.prefault({}).describe('how replicas are replaced when the job is updated'),
  readiness: readiness.prefault({}).describe('how a replica is asked whether it is ready'),
  scaling: scaling.optional().describe('how the number of replicas follows the load'),
})

/** The trained model that replicas are given. */
export const model = z.strictObject({
  job: z
    .string()
    .min(1)
    .max(128)
    .describe('id of a job of the tenant, or name of its newest job with a checkpoint'),
})

/** How the number of tasks of a Training job may change. */
export const elastic = z.strictObject({
  minTasks: count(1, 16_384).describe('fewest tasks'),
  maxTasks: count(1, 16_384).describe('most tasks'),
  cooldown: duration().default('60s').describe('shortest time between two changes of the size'),
  notice: duration()
    .default('30s')
    .describe('time for a checkpoint before a change; see SAI_NOTICE'),
})

/** A description as far as these fields go. */
interface Written {
  readonly type: 'Training' | 'Inference'
  readonly tasks: number
  readonly exclusive: boolean
  readonly replicas?: z.output<typeof replicas> | undefined
  readonly serve?: z.output<typeof serve> | undefined
  readonly model?: z.output<typeof model> | undefined
  readonly elastic?: z.output<typeof elastic> | undefined
}

/** Problems between fields: where, and what. */
export function conflicts(written: Written): { path: string[]; message: string }[] {
  const found: { path: string[]; message: string }[] = []
  const say = (message: string, ...path: string[]) => found.push({ path, message })
  if (written.type === 'Training') {
    for (const field of ['replicas', 'serve', 'model'] as const) {
      if (written[field] !== undefined) say('is for type: Inference', field)
    }
    const { elastic: limits, tasks } = written
    if (limits !== undefined && limits.minTasks > tasks) {
      say(`must be at most tasks, ${tasks}`, 'elastic', 'minTasks')
    }
    if (limits !== undefined && limits.maxTasks < tasks) {
      say(`must be at least tasks, ${tasks}`, 'elastic', 'maxTasks')
    }
    return found
  }
  if (written.elastic !== undefined) say('is for type: Training', 'elastic')
  const { min, max, initial } = replicasOf(written.replicas)
  if (max < min) say(`must be at least min, ${min}`, 'replicas', 'max')
  else if (initial < min || initial > max) {
    say(`must be from min to max, ${min} to ${max}`, 'replicas', 'initial')
  }
  for (const { field, message } of scalingConflicts(written.serve?.scaling, min)) {
    say(message, 'serve', 'scaling', field)
  }
  const probe = written.serve?.readiness
  if (probe?.httpGet !== undefined && probe.tcp === true) {
    say('stands beside httpGet: one of them', 'serve', 'readiness', 'tcp')
  }
  const rolling = written.serve?.update
  if (rolling !== undefined && rolling.maxSurge + rolling.maxUnavailable === 0) {
    say('must be above 0, or maxUnavailable', 'serve', 'update', 'maxSurge')
  }
  if (probe !== undefined && durationOf(probe.period) < 100) {
    say('must be at least 100ms', 'serve', 'readiness', 'period')
  }
  if (probe !== undefined && durationOf(probe.timeout) < 100) {
    say('must be at least 100ms', 'serve', 'readiness', 'timeout')
  }
  return found
}

function replicasOf(written: Written['replicas']): ServiceSpec['replicas'] {
  const min = written?.min ?? 1
  const atLeastOne = Math.max(1, min)
  const max = written?.max ?? Math.max(atLeastOne, written?.initial ?? 0)
  return { min, max, initial: written?.initial ?? atLeastOne }
}

/** The service of an Inference job, with all defaults. */
export function serviceOf(written: Written): ServiceSpec {
  const told = written.serve ?? serve.parse({})
  const { readiness: probe, port, drain, class: requestClass, scaling: scaled, ...same } = told
  return {
    ...same,
    portName: port,
    drainMs: durationOf(drain),
    requestClass,
    replicas: replicasOf(written.replicas),
    readiness: {
      httpGet: probe.httpGet ?? '',
      periodMs: durationOf(probe.period),
      timeoutMs: durationOf(probe.timeout),
      failureThreshold: probe.failureThreshold,
      successThreshold: probe.successThreshold,
      startupDeadlineMs: durationOf(probe.startupDeadline),
    },
    ...(scaled === undefined ? {} : { scaling: scalingOf(scaled) }),
    ...(written.model === undefined ? {} : { model: { ...written.model, path: '', step: 0 } }),
  }
}

/** The limits of an elastic job. */
export function elasticOf(written: z.output<typeof elastic>): ElasticSpec {
  const { minTasks, maxTasks, cooldown, notice } = written
  return { minTasks, maxTasks, cooldownMs: durationOf(cooldown), noticeMs: durationOf(notice) }
}

const ms = (value: number): string => (value % 1000 === 0 ? `${value / 1000}s` : `${value}ms`)

/** The fields of a service as they are written. */
export function writeService(service: ServiceSpec): object {
  const { readiness: probe, model: of } = service
  return {
    replicas: service.replicas,
    serve: {
      protocol: service.protocol,
      port: service.portName,
      concurrency: service.concurrency,
      tokens: service.tokens,
      affinity: service.affinity,
      class: service.requestClass,
      objectives: service.objectives,
      drain: ms(service.drainMs),
      update: service.update,
      readiness: {
        ...(probe.httpGet === '' ? { tcp: true } : { httpGet: probe.httpGet }),
        period: ms(probe.periodMs),
        timeout: ms(probe.timeoutMs),
        failureThreshold: probe.failureThreshold,
        successThreshold: probe.successThreshold,
        startupDeadline: ms(probe.startupDeadlineMs),
      },
      ...(service.scaling === undefined ? {} : { scaling: writeScaling(service.scaling) }),
    },
    ...(of === undefined ? {} : { model: { job: of.job } }),
  }
}

/** The limits of an elastic job as they are written. */
export function writeElastic({ minTasks, maxTasks, cooldownMs, noticeMs }: ElasticSpec): object {
  return { elastic: { minTasks, maxTasks, cooldown: ms(cooldownMs), notice: ms(noticeMs) } }
}
