import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PartitionStatus } from '@serverless-ai/contracts/admin/v1/admin'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { stateWord } from './output/states.ts'
import { Bench, job, refused } from './testing/bench.ts'

let bench: Bench
beforeEach(async () => {
  bench = new Bench()
  await bench.open()
  await bench.writeContexts()
})
afterEach(() => rm(bench.directory, { recursive: true, force: true }))

const here = () => ['--data', bench.directory]

describe('sai run', () => {
  test('copies the directory, submits, shows what happens, ends as the job did', async () => {
    await writeFile(join(bench.directory, 'train.py'), 'print(1)')
    bench.logs = [
      { rank: 1, text: 'hel' },
      { rank: 0, text: 'one\n' },
      { rank: 1, text: 'lo\nbye' },
    ]
    bench.changes = [
      job({ state: 'STATE_QUEUED', reason: { code: 'CODE_QUOTA_WAIT' } }),
      job({ state: 'STATE_ADMITTED', generation: 1, nodes: ['n1', 'n2'], emulatedDevices: true }),
      job({ state: 'STATE_RUNNING', generation: 1 }),
      job({ state: 'STATE_SUCCEEDED', generation: 1, resultJson: '{"accuracy":1}' }),
    ]
    const status = await bench.sai(
      'run',
      ...here(),
      '--workers',
      '2',
      '--env',
      'LR=0.1',
      '--',
      'python3',
      'train.py',
      '--json',
    )
    expect(status).toBe(0)
    expect(bench.out).toBe('[0] one\n[1] hello\n[1] bye\n')
    expect(bench.err).toContain('── queued; QUOTA_WAIT: its queue has used up its maximum')
    expect(bench.err).toContain('── generation 1: 2 tasks on n1, n2, emulated devices')
    expect(bench.err).toContain('result {"accuracy":1}')
    expect(parse(bench.manifests[0] ?? '')).toMatchObject({
      metadata: { name: 'train' },
      spec: {
        queue: 'q',
        tasks: 2,
        resources: { devices: 1 },
        command: ['python3', 'train.py', '--json'],
        env: { LR: '0.1' },
        workspace: expect.stringMatching(/^sha256:/),
      },
    })
  })

  test('a failed job is exit status 1, with the first failing rank', async () => {
    bench.logs = [{ rank: 1, text: 'boom\n', firstFailing: true }]
    bench.changes = [
      job({ state: 'STATE_RUNNING', generation: 1 }),
      job({ state: 'STATE_FAILED', generation: 1, message: 'exit code 7' }),
    ]
    expect(await bench.sai('run', ...here(), '--', './x')).toBe(1)
    expect(bench.err).toContain('rank 1 failed first')
    expect(bench.err).toContain('exit code 7')
  })

  test('with several queues one must be named', async () => {
    bench.queues = ['q', 'r']
    expect(await bench.sai('run', ...here(), '--', 'x')).toBe(2)
    expect(bench.err).toContain('--queue, one of: q, r')
    expect(await bench.sai('run', ...here(), '--queue', 'r', '--detach', '--', 'x')).toBe(0)
    expect(bench.out).toBe('j-0-0123456789ab\n')
  })

  test('Ctrl-C leaves the job running and says so', async () => {
    bench.changes = [job({ state: 'STATE_QUEUED' })]
    bench.watching = () => bench.interrupt.abort()
    expect(await bench.sai('run', ...here(), '--', 'x')).toBe(130)
    expect(bench.err).toContain('sai job cancel j-0-0123456789ab')
  })

  test.each([
    [['--workers', '0'], '--workers must be a whole number from 1 to 16384, not "0"'],
    [['--env', 'X'], '--env takes NAME=VALUE'],
    [['--frob'], "unknown option '--frob'"],
  ])('usage: %j', async (options, message) => {
    expect(await bench.sai('run', ...here(), ...options, '--', 'x')).toBe(2)
    expect(bench.err).toContain(message)
  })
})

describe('what a newcomer types', () => {
  test('options of the platform may stand before the command', async () => {
    bench.jobs = [job({ state: 'STATE_RUNNING' })]
    expect(await bench.sai('--data', bench.directory, '--json', 'job', 'list')).toBe(0)
    expect(JSON.parse(bench.out)).toMatchObject({ jobs: [{ name: 'train' }] })
    // Nearer to the command counts.
    expect(await bench.sai('--as', 'x', 'job', 'list', '--as', 'a', ...here())).toBe(0)
    expect(await bench.sai('--as', 'x', 'job', 'list', ...here())).toBe(2)
    expect(bench.err).toContain('there is no context x')
  })

  test('options of sai run behind the command are refused, unless -- is there', async () => {
    const words = ['python3', 'train.py', '--workers', '2']
    expect(await bench.sai('run', ...here(), ...words)).toBe(2)
    expect(bench.err).toContain('--workers stands after the command and would go to python3')
    expect(await bench.sai('run', ...here(), '--detach', '--', ...words)).toBe(0)
    expect(parse(bench.manifests[0] ?? '')).toMatchObject({ spec: { tasks: 1, command: words } })
  })

  test.each([
    [['logs', 'train'], 'sai job logs'],
    [['--json', 'cancel', 'train'], 'sai job cancel'],
  ])('%j lacks its group', async (argv, meant) => {
    expect(await bench.sai(...argv)).toBe(2)
    expect(bench.err).toContain(`Did you mean \`${meant}\`?`)
  })

  test('a job that has ended is not being cancelled', async () => {
    bench.jobs = [job({ state: 'STATE_CANCELLED' })]
    expect(await bench.sai('job', 'cancel', 'train', ...here())).toBe(0)
    expect(bench.out).toBe('j-0-0123456789ab has ended (Cancelled)\n')
  })

  test('a long message does not widen the table of jobs', async () => {
    bench.jobs = [job({ state: 'STATE_FAILED', message: 'x'.repeat(300) })]
    expect(await bench.sai('job', 'list', ...here())).toBe(0)
    expect(bench.out).toContain(`${'x'.repeat(59)}…  `)
  })

  test('an empty directory is none', async () => {
    const empty = join(bench.directory, 'empty')
    await mkdir(empty)
    bench.stdin = 'spec:\n  queue: q\n'
    expect(await bench.sai('job', 'submit', '-', '--workspace', 'empty', ...here())).toBe(0)
    expect(bench.err).toContain('there is nothing to copy in')
    expect(bench.manifests[1]).toContain('workspace: ""')
  })

  test('numbers of a waiting job change without a word, reasons do not', async () => {
    const waits = (free: number, code = 'CODE_CAPACITY_WAIT') => {
      const shortfalls = [{ dimension: 'devices', want: 4, free, total: 6 }]
      return job({ state: 'STATE_QUEUED', reason: { code, shortfalls } })
    }
    const end = job({ state: 'STATE_SUCCEEDED', generation: 1 })
    bench.changes = [waits(1), waits(2), waits(3), waits(3, 'CODE_QUOTA_WAIT'), waits(4), end]
    expect(await bench.sai('run', ...here(), '--', 'x')).toBe(0)
    const told = bench.err.split('\n').filter((line) => line.startsWith('── queued'))
    expect(told.map((line) => line.slice(0, 25))).toEqual([
      '── queued; CAPACITY_WAIT:',
      '── queued; QUOTA_WAIT: it',
    ])
  })

  test('a gang that fits nowhere, a queue of another tenant: how to go on', async () => {
    bench.submitError = refused('FAILED_PRECONDITION', 'NO_MATCHING_NODE')
    expect(await bench.sai('run', ...here(), '--', 'x')).toBe(3)
    expect(bench.err).toContain('or --wait for nodes to come')
    bench.submitError = refused('NOT_FOUND', 'UNKNOWN_QUEUE')
    expect(await bench.sai('run', ...here(), '--', 'x')).toBe(4)
    expect(bench.err).toContain('--as NAME acts for another tenant')
    expect(bench.err).toContain('sai queue create NAME --tenant TENANT')
  })

  test('a file with its directory: checked as written, then with a workspace', async () => {
    bench.stdin = '# mine\nspec:\n  queue: q # here\n'
    expect(await bench.sai('job', 'submit', '-', '--workspace', '.', ...here())).toBe(0)
    expect(bench.manifests[0]).toBe(bench.stdin)
    expect(bench.manifests[1]).toMatch(
      /^# mine\nspec:\n {2}queue: q # here\n {2}workspace: sha256:/,
    )
  })
})

describe('finding a job', () => {
  beforeEach(() => {
    bench.jobs = [
      job({ jobId: 'j-0-bbbb00000000', name: 'train', state: 'STATE_RUNNING' }),
      job({ jobId: 'j-0-aaaa00000000', name: 'train', state: 'STATE_FAILED' }),
      job({ jobId: 'j-0-abcd00000000', name: 'other', state: 'STATE_QUEUED' }),
    ]
  })

  test.each([
    ['j-0-aaaa00000000', 'j-0-aaaa00000000'],
    ['train', 'j-0-bbbb00000000'],
    ['j-0-b', 'j-0-bbbb00000000'],
    ['abc', 'j-0-abcd00000000'],
  ])('%s is %s', async (typed, jobId) => {
    expect(await bench.sai('job', 'get', typed, '--json', ...here())).toBe(0)
    expect(JSON.parse(bench.out)).toMatchObject({ jobId })
  })

  test('an ambiguous beginning is a usage error, an unknown one is not found', async () => {
    expect(await bench.sai('job', 'get', 'a', ...here())).toBe(2)
    expect(bench.err).toContain('2 jobs: j-0-aaaa00000000, j-0-abcd00000000')
    expect(await bench.sai('job', 'get', 'zzz', ...here())).toBe(4)
    expect(await bench.sai('job', 'cancel', 'j-0-ffffffffffff', ...here())).toBe(4)
  })
})

describe('errors', () => {
  test('a bad description lists every place', async () => {
    const violations = [
      { field: 'spec.taks (line 3, column 1)', description: 'is not a known field' },
      { field: 'spec.queue (line 2, column 1)', description: 'is missing' },
    ]
    const metadata = { file: 'standard input' }
    bench.submitError = refused('INVALID_ARGUMENT', 'INVALID_SPEC', { violations, metadata })
    expect(await bench.sai('job', 'submit', '-', ...here())).toBe(3)
    expect(bench.err).toBe(
      'sai: standard input cannot be used [INVALID_SPEC]\n' +
        '  spec.taks (line 3, column 1): is not a known field\n' +
        '  spec.queue (line 2, column 1): is missing\n',
    )
    expect(await bench.sai('job', 'submit', '-', '--json', ...here())).toBe(3)
    expect(JSON.parse(bench.err)).toMatchObject({ error: { reason: 'INVALID_SPEC', violations } })
  })

  test('nobody answers', async () => {
    bench.away = true
    expect(await bench.sai('node', 'list', ...here())).toBe(5)
    expect(bench.err).toContain('npm start')
  })

  test('nothing was ever started here', async () => {
    const empty = join(bench.directory, 'empty')
    expect(await bench.sai('job', 'list', '--data', empty)).toBe(5)
    expect(bench.err).toContain('no platform is known here: start one with `npm start`')
  })

  test('an unknown context names the known ones; an unknown command is usage', async () => {
    expect(await bench.sai('job', 'list', '--as', 'x', ...here())).toBe(2)
    expect(bench.err).toContain('known: a, admin')
    expect(await bench.sai('frobnicate')).toBe(2)
    expect(await bench.sai('--help')).toBe(0)
  })
})

test('job logs --follow waits until there is something', async () => {
  bench.jobs = [job({ state: 'STATE_QUEUED' })]
  bench.changes = [job({ state: 'STATE_QUEUED' }), job({ state: 'STATE_RUNNING', generation: 1 })]
  bench.logsLater = 2
  bench.logs = [{ rank: 0, text: 'hello\n' }]
  expect(await bench.sai('job', 'logs', 'train', '--follow', ...here())).toBe(0)
  expect(bench.out).toBe('[0] hello\n')
})

test('node list labels emulated devices', async () => {
  expect(await bench.sai('node', 'list', ...here())).toBe(0)
  expect(bench.out).toContain('1/2 used: 2 emulated/A100 (EMULATED)')
})

test('job list filters by state and is empty in words', async () => {
  expect(await bench.sai('job', 'list', '--state', 'running', ...here())).toBe(0)
  expect(bench.out).toBe('no jobs\n')
  expect(await bench.sai('job', 'list', '--state', 'pending', ...here())).toBe(2)
  expect(bench.err).toContain('Queued')
})

test('job why passes the position on', async () => {
  bench.jobs = [job({ state: 'STATE_QUEUED' })]
  expect(await bench.sai('job', 'why', 'train', '--at', 'scheduler:0:7:3', ...here())).toBe(0)
  expect(bench.out).toContain('train (j-0-0123456789ab) is Queued')
  expect(bench.out).toContain('as of scheduler:0:7:3')
})

describe('sai status', () => {
  const healthy = { service: 'scheduler', role: 'Leading', leader: 'r1' }
  test.each([
    ['healthy', {}, 0, 'healthy'],
    ['alarm', { alarm: 'damaged' }, 1, 'scheduler: alarm: damaged'],
    ['parked', { parkedInputs: 2 }, 1, '2 inputs could not be used and are parked'],
    ['effect', { oldestEffectAgeMs: 60_000 }, 1, 'waits for its answer since 1 min'],
    ['peer', { unreachablePeers: ['mediator: UNAVAILABLE'] }, 1, 'cannot reach mediator'],
    ['leader', { leader: '' }, 1, 'has no leader'],
  ])('%s', async (_, more, exit, text) => {
    bench.partitions = [PartitionStatus.fromJSON({ ...healthy, ...more })]
    expect(await bench.sai('status', ...here())).toBe(exit)
    expect(bench.out).toContain(text)
    await bench.sai('status', '--json', ...here())
    expect(JSON.parse(bench.out)).toMatchObject({ healthy: exit === 0 })
  })
})

test('sai status says where callers go, as told', async () => {
  const file = join(bench.directory, 'cli.json')
  const known = JSON.parse(await readFile(file, 'utf8'))
  const edge = 'http://127.0.0.1:7072'
  await writeFile(file, JSON.stringify({ ...known, edge }))
  expect(await bench.sai('status', ...here())).toBe(0)
  expect(bench.out).toContain(`callers at ${edge}\n`)
  await bench.sai('status', '--json', ...here())
  expect(JSON.parse(bench.out)).toMatchObject({ edge })
  await bench.sai('status', '--address', known.address, ...here())
  expect(bench.out).not.toContain('callers at')
})

test('sai status asks every process of a list, and names who does not answer', async () => {
  bench.partitions = [
    PartitionStatus.fromJSON({ service: 'scheduler', role: 'Leading', leader: 'r1' }),
  ]
  const { address } = JSON.parse(await readFile(join(bench.directory, 'cli.json'), 'utf8'))
  const at = (...list: string[]) => bench.sai('status', '--address', list.join(), ...here())
  expect(await at(address, '127.0.0.1:1')).toBe(1)
  expect(bench.out).toContain(address)
  expect(bench.out).toMatch(/DEGRADED\n {2}127\.0\.0\.1:1 does not answer/)
  expect(await at(address, address)).toBe(0)
  expect(bench.out.match(/scheduler\/0/g)).toHaveLength(2)
})

test('version', async () => {
  expect(await bench.sai('version', '--json')).toBe(0)
  expect(JSON.parse(bench.out)).toEqual({ version: '0.2.0' })
})

test.each(Object.entries(Job_State))('the state %s has a word', (name, state) => {
  const word = name.charAt(0) + name.slice(1).toLowerCase()
  expect(stateWord(state)).toBe(word)
})
