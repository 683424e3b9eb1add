import { describe, expect, it } from 'vitest'
import { parseDescription, renderDescription } from './parse.ts'

const HEAD = `apiVersion: serverlessai.job/v1
kind: Job
metadata: {name: digits-server}
spec:
  queue: team-a
  command: [node, server.mjs]
`
const withSpec = (...lines: string[]) => HEAD + lines.map((line) => `  ${line}\n`).join('')
const specOf = (text: string) => {
  const parsed = parseDescription(text)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
  return parsed.spec
}
const problems = (...lines: string[]) => {
  const parsed = parseDescription(withSpec(...lines))
  return parsed.ok ? [] : parsed.problems.map(({ field, message }) => `${field}: ${message}`)
}

describe('an Inference job', () => {
  it('gets every default: one replica, asked by TCP', () => {
    expect(specOf(withSpec('type: Inference'))).toMatchObject({
      type: 'Inference',
      service: {
        protocol: 'http1',
        portName: 'http',
        concurrency: 0,
        tokens: 0,
        affinity: 'none',
        requestClass: 'standard',
        objectives: [],
        drainMs: 10_000,
        update: { maxSurge: 1, maxUnavailable: 0 },
        replicas: { min: 1, max: 1, initial: 1 },
        readiness: {
          httpGet: '',
          periodMs: 1_000,
          timeoutMs: 1_000,
          failureThreshold: 3,
          successThreshold: 1,
          startupDeadlineMs: 120_000,
        },
      },
    })
  })

  it('may have no replica at rest, and starts with one', () => {
    const { service } = specOf(withSpec('type: Inference', 'replicas: {min: 0, max: 4}'))
    expect(service?.replicas).toEqual({ min: 0, max: 4, initial: 1 })
    const none = specOf(withSpec('type: Inference', 'replicas: {min: 0, max: 4, initial: 0}'))
    expect(none.service?.replicas.initial).toBe(0)
  })

  it('reads the same after it was written with its defaults', () => {
    const text = withSpec(
      'type: Inference',
      'replicas: {min: 1, max: 8, initial: 2}',
      'serve:',
      '  protocol: openai',
      '  concurrency: 16',
      '  tokens: 4096',
      '  affinity: session',
      '  class: interactive',
      '  objectives: [fast-answers]',
      '  drain: 2500ms',
      '  update: {maxSurge: 0, maxUnavailable: 2}',
      '  readiness: {httpGet: /healthz, period: 500ms, startupDeadline: 5m}',
      'model: {job: digits}',
    )
    const spec = specOf(text)
    expect(spec.service?.model).toEqual({ job: 'digits', path: '', step: 0 })
    expect(spec.service?.readiness).toMatchObject({ httpGet: '/healthz', periodMs: 500 })
    expect(specOf(renderDescription(spec))).toEqual(spec)
  })

  it('says what does not go together, and where', () => {
    expect(problems('replicas: {min: 1}')).toEqual(['spec.replicas: is for type: Inference'])
    expect(problems('type: Inference', 'replicas: {min: 3, max: 2}')).toEqual([
      'spec.replicas.max: must be at least min, 3',
    ])
    expect(problems('type: Inference', 'replicas: {min: 1, max: 2, initial: 3}')).toEqual([
      'spec.replicas.initial: must be from min to max, 1 to 2',
    ])
    const both = 'serve: {readiness: {httpGet: /a, tcp: true, period: 1ms, timeout: 1ms}}'
    expect(problems('type: Inference', both)).toEqual([
      'spec.serve.readiness.tcp: stands beside httpGet: one of them',
      'spec.serve.readiness.period: must be at least 100ms',
      'spec.serve.readiness.timeout: must be at least 100ms',
    ])
    const still = 'serve: {update: {maxSurge: 0}}'
    expect(problems('type: Inference', still)).toEqual([
      'spec.serve.update.maxSurge: must be above 0, or maxUnavailable',
    ])
    const path = 'serve: {readiness: {httpGet: "healthz"}}'
    expect(problems('type: Inference', path)[0]).toContain('must be a path that starts with "/"')
    const elastic = 'elastic: {minTasks: 1, maxTasks: 2}'
    expect(problems('type: Inference', elastic)).toEqual(['spec.elastic: is for type: Training'])
  })
})

describe('an elastic Training job', () => {
  it('names its limits around its tasks', () => {
    const spec = specOf(withSpec('tasks: 2', 'elastic: {minTasks: 1, maxTasks: 4}'))
    expect(spec.elastic).toEqual({
      minTasks: 1,
      maxTasks: 4,
      cooldownMs: 60_000,
      noticeMs: 30_000,
    })
    expect(specOf(renderDescription(spec))).toEqual(spec)
    expect(problems('tasks: 5', 'elastic: {minTasks: 6, maxTasks: 4}')).toEqual([
      'spec.elastic.minTasks: must be at most tasks, 5',
      'spec.elastic.maxTasks: must be at least tasks, 5',
    ])
  })
})
