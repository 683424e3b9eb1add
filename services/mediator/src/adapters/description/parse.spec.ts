import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseDescription, renderDescription } from './parse.ts'
import { descriptionJsonSchema } from './schema.ts'

const MINIMAL = `apiVersion: serverlessai.job/v1
kind: Job
metadata:
  name: digits
spec:
  queue: vision
  command: [node, train.js]
`

/** The minimal description with lines below `spec`. */
const withSpec = (...lines: string[]) => MINIMAL + lines.map((line) => `  ${line}\n`).join('')

function problems(text: string): string[] {
  const parsed = parseDescription(text)
  if (parsed.ok) throw new Error('expected problems')
  return parsed.problems.map((p) => `${p.line}:${p.column} ${p.field}: ${p.message}`)
}

describe('a good description', () => {
  test('gets every default', () => {
    expect(parseDescription(MINIMAL)).toEqual({
      ok: true,
      spec: {
        name: 'digits',
        queue: 'vision',
        type: 'Training',
        tasks: 1,
        resources: { devices: 1, deviceModels: [], cpuMillis: 500, memoryMib: 512 },
        command: ['node', 'train.js'],
        env: {},
        workspace: '',
        ports: 1,
        exclusive: false,
        retry: { maxRestarts: 3, onUserError: 0, backoffMs: 1000 },
        stopGracePeriodMs: 3000,
        waitForCapacity: false,
        logMaxBytes: 16 * 1024 * 1024,
        priority: 0,
      },
    })
  })

  test('reads amounts in all their units', () => {
    const text = withSpec(
      'resources: {cpu: 1.5, memory: 1.5Gi, devices: 2, deviceModels: ["NVIDIA H*"]}',
      'retry: {backoff: 1500ms}',
      'stopGracePeriod: 1m',
      'log: {maxSize: 64Ki}',
    )
    const parsed = parseDescription(text)
    expect(parsed).toMatchObject({
      spec: {
        resources: { cpuMillis: 1500, memoryMib: 1536, devices: 2, deviceModels: ['NVIDIA H*'] },
        retry: { backoffMs: 1500 },
        stopGracePeriodMs: 60_000,
        logMaxBytes: 65_536,
      },
    })
  })

  test('may be JSON', () => {
    const spec = { queue: 'q', command: ['true'], env: { A: 'b: *c' } }
    const json = { apiVersion: 'serverlessai.job/v1', kind: 'Job', metadata: { name: 'n' }, spec }
    const parsed = parseDescription(JSON.stringify(json, undefined, '\t'))
    expect(parsed).toMatchObject({ ok: true, spec: { queue: 'q', env: { A: 'b: *c' } } })
  })

  test('JSON as programs write it reads as the same in YAML does', () => {
    const value = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.integer(), fc.double())
    const names = fc.constantFrom('A', 'B_1', '__proto__', 'toString', '2x')
    fc.assert(
      fc.property(fc.dictionary(names, value), fc.array(value), (env, command) => {
        const spec = { queue: 'q', command, env }
        const json = { apiVersion: 'serverlessai.job/v1', kind: 'Job', metadata: { name: 'n' } }
        const written = parseDescription(JSON.stringify({ ...json, spec }))
        const spread = parseDescription(JSON.stringify({ ...json, spec }, undefined, 1))
        if (written.ok || spread.ok) expect(written).toEqual(spread)
      }),
    )
  })

  test('in JSON, too, a key stands there once', () => {
    const twice = '{"apiVersion":"serverlessai.job/v1","kind":"Job","kind":"Job"}'
    expect(problems(twice)).toContain('1:50 kind: is there twice')
  })

  test('may use anchors', () => {
    const parsed = parseDescription(withSpec('env: {A: &x "1", B: *x}'))
    expect(parsed).toMatchObject({ ok: true, spec: { env: { A: '1', B: '1' } } })
  })

  test('rendered with all defaults it reads as the same job', () => {
    const parsed = parseDescription(withSpec('env: {A: "yes", B: "1"}', 'stopGracePeriod: 10ms'))
    if (!parsed.ok) throw new Error('expected a job')
    expect(parseDescription(renderDescription(parsed.spec))).toEqual(parsed)
  })
})

describe('a bad description says what is wrong and where', () => {
  test.each([
    [['taks: 4'], '8:3 spec.taks: is not a known field; did you mean tasks?'],
    [
      ['wait_for_capacity: true'],
      'spec.wait_for_capacity: is not a known field; did you mean waitForCapacity?',
    ],
    [['log: {size: 1Mi}'], '8:9 spec.log.size: is not a known field; known here: maxSize'],
    [['tasks: four'], '8:10 spec.tasks: must be a number, but is text'],
    [['tasks: 1.5'], '8:10 spec.tasks: must be a whole number, but is 1.5'],
    [['tasks: -1'], '8:10 spec.tasks: must be at least 1'],
    [['tasks: 99999999999999999999'], '8:10 spec.tasks: must be at most 16384'],
    [['tasks: .inf'], '8:10 spec.tasks: must be a number, but is Infinity'],
    [['tasks:'], '8:9 spec.tasks: must be a number, but is empty'],
    [['exclusive: "yes"'], '8:14 spec.exclusive: must be true or false, but is text'],
    [['resources: {memory: 512MB}'], 'the unit "MB" is not known here: use Mi, Gi or Ti'],
    [['resources: {memory: 512}'], '8:23 spec.resources.memory: needs a unit: Mi, Gi or Ti'],
    [['resources: {memory: -1Gi}'], 'spec.resources.memory: must not be negative'],
    [['resources: {memory: 99999999Ti}'], 'spec.resources.memory: must be from 1Mi to 953Ti'],
    [['resources: {cpu: 2GHz}'], 'the unit "GHz" is not known here: use cores (2 or 0.5)'],
    [['resources: {cpu: -2}'], 'spec.resources.cpu: must not be negative'],
    [['resources: {cpu: 1e300}'], 'spec.resources.cpu: must be from 1m to 1000000 cores'],
    [['resources: {cpu: true}'], 'spec.resources.cpu: must be an amount of CPU'],
    [['retry: {backoff: 5}'], 'spec.retry.backoff: needs a unit: ms, s, m or h'],
    [['stopGracePeriod: 2d'], 'the unit "d" is not known here: use ms, s, m or h'],
    [['env: {PORT: 80}'], 'spec.env.PORT: must be text, but is 80 (quote it to make it text)'],
    [['env: {RANK: "0"}'], 'spec.env.RANK: is set by the platform'],
    [['env: {SAI_X: "0"}'], 'spec.env.SAI_X: is set by the platform'],
    [['env: {"a b": "0"}'], '8:9 spec.env.a b: is not a name of a variable'],
    [['env: {A: "x\\0y"}'], '8:12 spec.env.A: must not contain a NUL character'],
    [['env: {"A\\0": x}'], '8:9 spec.env.A\0: is not a name of a variable'],
    [['workspace: ./here'], 'spec.workspace: must be "sha256:" and 64 hex digits'],
    [['tasks: 1', 'tasks: 2'], '9:3 spec.tasks: is there twice'],
    [['env: {A: *nope}'], 'the alias *nope has no anchor before it'],
    [['env: &e {A: *e}'], 'the alias *e has no anchor before it'],
    [['env: {__proto__: x}'], 'spec.env.__proto__: is not allowed as a name'],
    [['type: Serving'], '8:9 spec.type: must be Training or Inference'],
    [
      ['env: !!binary aGk='],
      '8:17 spec.env: has a type that is not allowed: tag:yaml.org,2002:binary',
    ],
  ])('%j', (lines, expected) => {
    expect(problems(withSpec(...lines)).join('\n')).toContain(expected)
  })

  test.each([
    ['[""]', '7:13 spec.command[0]: must name a program'],
    ['["", a]', '7:13 spec.command[0]: must name a program'],
    ['["no\\0de"]', '7:13 spec.command[0]: must not contain a NUL character'],
    ['[node, "a\\0b"]', '7:19 spec.command[1]: must not contain a NUL character'],
  ])('the command %s', (command, expected) => {
    expect(problems(MINIMAL.replace('[node, train.js]', command))).toEqual([expected])
  })

  test('a NUL in a name', () => {
    expect(problems(MINIMAL.replace('digits', '"a\\0b"'))[0]).toContain(
      '4:9 metadata.name: must be',
    )
  })

  test('a missing field is told where it belongs', () => {
    const text =
      'apiVersion: serverlessai.job/v1\nkind: Job\nmetadata: {name: x}\nspec: {command: [a]}'
    expect(problems(text)).toEqual(['4:1 spec.queue: is missing; it must be text'])
  })

  test('another version and kind', () => {
    const text = MINIMAL.replace('job/v1', 'job/v9').replace('kind: Job', 'kind: Pod')
    expect(problems(text)).toEqual([
      '1:13 apiVersion: must be serverlessai.job/v1',
      '2:7 kind: must be Job',
    ])
  })

  test('all problems at once, in the order of the text, at most 20', () => {
    const wrong = Array.from({ length: 30 }, (_, i) => `x${i}: 1`)
    const found = problems(withSpec('tasks: 0', ...wrong))
    expect(found).toHaveLength(20)
    expect(found[0]).toContain('8:10 spec.tasks')
    expect(found[1]).toContain('9:3 spec.x0')
  })

  test.each([
    ['', 'is empty'],
    ['# nothing\n', 'is empty'],
    ['hello', 'must be a group of fields, but is text'],
    ['[1, 2]', 'must be a group of fields, but is a list'],
    [`${MINIMAL}---\n${MINIMAL}`, 'holds several documents'],
    ['a: b: c', '1:'],
    ['? [a]\n: b', 'has a key that is not text'],
  ])('a text that is no description: %j', (text, expected) => {
    expect(problems(text).join('\n')).toContain(expected)
  })
})

describe('a hostile description ends quickly', () => {
  const lines = (n: number) => Array.from({ length: n }, (_, i) => i)

  test('more than 1 MiB', () => {
    expect(problems(MINIMAL + '#'.repeat(1024 * 1024))[0]).toMatch(/has 10486\d\d bytes/)
  })

  test('an alias bomb', () => {
    const bomb = lines(9).map((i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}*a${i}]`)
    expect(problems(['a0: &a0 [x]', ...bomb].join('\n'))[0]).toContain('more than 20000 values')
  })

  test.each([
    ['flow lists', '['.repeat(500_000)],
    ['closed flow lists', '['.repeat(40) + ']'.repeat(40)],
    ['block lists', '- '.repeat(300_000)],
    ['flow maps', '{a: '.repeat(200_000)],
    [
      'indented maps',
      lines(1000)
        .map((i) => `${' '.repeat(i)}a:`)
        .join('\n'),
    ],
  ])('nested %s', (_, text) => {
    expect(problems(text).length).toBeGreaterThan(0)
  })

  test('very many keys', () => {
    const started = performance.now()
    expect(
      problems(
        lines(100_000)
          .map((i) => `k${i}: 1`)
          .join('\n'),
      )[0],
    ).toContain('20000 values')
    // Comparing each key with each other one would take minutes.
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})

test('the published schema is the one in use', () => {
  const file = new URL('../../../../../docs/reference/job.schema.json', import.meta.url)
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(descriptionJsonSchema())
})

describe('the examples', () => {
  const directory = new URL('../../../../../examples/jobs/', import.meta.url)
  const files = readdirSync(directory).filter((name) => /\.(yaml|json)$/.test(name))
  test.each(files)('%s is good', (name) => {
    expect(parseDescription(readFileSync(new URL(name, directory), 'utf8'))).toMatchObject({
      ok: true,
    })
  })

  test.each(['digits-server', 'llm-emulator'])('the job of the workload %s is good', (name) => {
    const file = new URL(`../workloads/${name}/job.yaml`, directory)
    expect(parseDescription(readFileSync(file, 'utf8'))).toMatchObject({
      ok: true,
      spec: { type: 'Inference' },
    })
  })

  test('all-fields.yaml has every field, at its default', () => {
    const parsed = parseDescription(readFileSync(new URL('all-fields.yaml', directory), 'utf8'))
    const minimal = parseDescription(MINIMAL)
    if (!parsed.ok || !minimal.ok) throw new Error('expected two jobs')
    const { name, queue, command } = parsed.spec
    expect(parsed.spec).toEqual({ ...minimal.spec, name, queue, command })
    const text = readFileSync(new URL('all-fields.yaml', directory), 'utf8')
    for (const field of Object.keys(parse(renderDescription(parsed.spec)).spec)) {
      expect(text).toMatch(new RegExp(`^  ${field}:`, 'm'))
    }
  })
})
