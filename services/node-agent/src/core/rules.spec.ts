import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryProblem } from './archive.ts'
import { AGENT_RESTART, delayMs, jitter } from './backoff.ts'
import { parseNodeConfig } from './config.ts'
import { deviceEnvironment, taskEnvironment } from './environment.ts'
import { emulatedDevices, longestFreeRun, parseNvidiaSmi } from './inventory.ts'
import { compareVersions, isSafeName, keyFromPath, keyPath } from './keys.ts'
import {
  LINES_START,
  passedOn,
  problemOfLine,
  REPORT_LINE_MAX_BYTES,
  type ReportLine,
  takeLines,
} from './lines.ts'
import { acknowledge, newOutbox, nextReport } from './outbox.ts'
import { uidFor } from './uids.ts'

describe('keys', () => {
  it('are read back from their folder', () => {
    const key = { jobId: 'j-0-a', gang: 1, generation: 12, rank: 3 }
    expect(keyPath(key)).toBe('j-0-a/1-12-3')
    expect(keyFromPath('j-0-a', '1-12-3')).toEqual(key)
    expect(keyFromPath('j-0-a', 'output')).toBeUndefined()
  })

  it('cannot name a folder elsewhere', () => {
    expect(['j-0-1f', 'a'].every(isSafeName)).toBe(true)
    expect(['..', '.', '', 'a/b', '-x', 'a\0b'].some(isSafeName)).toBe(false)
  })

  it('order versions by epoch, then position, beyond 2^53', () => {
    const v = (epoch: string, position: string) => ({ epoch, position })
    expect(compareVersions(v('1', '9'), v('2', '1'))).toBe(-1)
    expect(compareVersions(v('1', '9007199254740993'), v('1', '9007199254740992'))).toBe(1)
    expect(compareVersions(v('1', '5'), v('1', '5'))).toBe(0)
  })
})

describe('report lines', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)

  it('are the same however the file is cut into pieces', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 40 }).map((s) => s.replaceAll('\n', ' '))
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 30 }),
        fc.infiniteStream(fc.nat(50)),
        (lines, cuts) => {
          const file = bytes(lines.map((text) => `${text}\n`).join(''))
          const found: ReportLine[] = []
          let at = LINES_START
          let known = 0
          while (known < file.length || at.offset < file.length) {
            known = Math.min(file.length, known + 1 + (cuts.next().value ?? 0))
            const taken = takeLines(at, file.subarray(at.offset, known), known === file.length)
            found.push(...taken.lines)
            at = taken.next
          }
          const wanted = lines.flatMap((json, i) => (json === '' ? [] : [{ line: i + 1, json }]))
          expect(found).toEqual(wanted)
        },
      ),
    )
  })

  it('over 64 KiB are dropped with a note, and the next line is read', () => {
    const long = 'x'.repeat(REPORT_LINE_MAX_BYTES + 1)
    const file = bytes(`${long}\nnext\n`)
    const half = takeLines(LINES_START, file.subarray(0, REPORT_LINE_MAX_BYTES + 1), false)
    expect(half.lines).toEqual([])
    const rest = takeLines(half.next, file.subarray(half.next.offset), false)
    expect(rest.lines.map(({ line }) => line)).toEqual([1, 2])
    expect(JSON.parse(rest.lines[0]?.json ?? '')).toMatchObject({ kind: 'note' })
    expect(rest.lines[1]?.json).toBe('next')
  })

  it('of exactly 64 KiB are passed on', () => {
    const text = 'x'.repeat(REPORT_LINE_MAX_BYTES)
    expect(takeLines(LINES_START, bytes(`${text}\n`), false).lines[0]?.json).toBe(text)
  })
})

describe('a report line that is not used', () => {
  it.each([
    ['{"kind":"progress","step":1}', undefined],
    ['{"kind":"result"}', undefined],
    ['{"kind":"checkpoint","step":1,"path":"/c/1"}', undefined],
    ['{"kind":"checkpoint","step":0,"path":"/real/c/./gen-1//1"}', undefined],
    ['{"kind":"checkpoint","step":1}', 'absolute path'],
    ['{"kind":"checkpoint","step":1,"path":"c/1"}', 'absolute path'],
    ['{"kind":"checkpoint","step":1,"path":"/c/1\\u0000"}', 'absolute path'],
    ['{"kind":"checkpoint","step":1,"path":"/elsewhere/1"}', 'inside SAI_CHECKPOINT_DIR'],
    ['{"kind":"checkpoint","step":1,"path":"/c/../etc/1"}', 'inside SAI_CHECKPOINT_DIR'],
    ['{"kind":"checkpoint","step":1,"path":"/cc/1"}', 'inside SAI_CHECKPOINT_DIR'],
    ['{"kind":"checkpoint","step":1,"path":"/c/"}', 'inside SAI_CHECKPOINT_DIR'],
    ['{"kind":"checkpoint","path":"/c/1"}', 'a whole number from 0'],
    ['{"kind":"checkpoint","step":-1,"path":"/c/1"}', 'a whole number from 0'],
    ['{"kind":"checkpoint","step":1.5,"path":"/c/1"}', 'a whole number from 0'],
    ['{"kind":"checkpoint","step":1e300,"path":"/c/1"}', 'a whole number from 0'],
    ['{"kind":"checkpoint","step":"1","path":"/c/1"}', 'a whole number from 0'],
    ['{"checkpoint":"/c/1"}', 'it needs "kind"'],
    ['{"kind":"note","message":"line 1 was dropped"}', 'was dropped'],
    ['[1]', 'it needs "kind"'],
    ['null', 'it needs "kind"'],
    ['step 5, loss 3', 'not JSON'],
  ])('%s', (json, problem) => {
    const place = { directories: ['/c', '/real/c/'], name: 'j-1' }
    if (problem === undefined) expect(problemOfLine(json, place)).toBeUndefined()
    else expect(problemOfLine(json, place)).toContain(problem)
    // Other lines that are not used mislead nobody.
    const bad = problem !== undefined && json.includes('"kind":"checkpoint"')
    expect(passedOn(json, place) === undefined).toBe(bad)
  })
})

describe('the path of a checkpoint', () => {
  const place = { directories: ['/data/checkpoints/j-1', '/real/checkpoints/j-1'], name: 'j-1' }
  const reported = (path: string) =>
    passedOn(JSON.stringify({ kind: 'checkpoint', step: 4, path, bytes: 7, own: [1] }), place)

  it('is relative to the checkpoint directory once it is passed on', () => {
    const passed = { kind: 'checkpoint', step: 4, path: 'j-1/gen-1/4', bytes: 7, own: [1] }
    expect(reported('/data/checkpoints/j-1/gen-1/4')).toBe(JSON.stringify(passed))
    expect(reported('/real/checkpoints/./j-1//gen-1/4/')).toBe(JSON.stringify(passed))
    const progress = '{"kind":"progress", "path":"/data/checkpoints/j-1/gen-1/4"}'
    expect(passedOn(progress, place)).toBe(progress)
  })

  it('is absolute again for the task that goes on from it, on any node', () => {
    const task = { taskDir: '/t', report: '/t/r', notice: '/t/n', tmp: '/t/tmp', cwd: '/t/w' }
    const seen = (path: string) => {
      const paths = { ...task, checkpointDir: '/other/checkpoints/j-1' }
      const env = { SAI_RESUME_FROM: path }
      return taskEnvironment({ nodeBinDir: '/node', paths, env, marker: 'm' }).SAI_RESUME_FROM
    }
    expect(seen('j-1/gen-1/4')).toBe('/other/checkpoints/j-1/gen-1/4')
    expect(seen('/data/checkpoints/j-1/gen-1/4')).toBe('/data/checkpoints/j-1/gen-1/4')
    expect(seen('')).toBe('')
  })
})

describe('uids of tenants', () => {
  it('are never shared and never change', () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 12 }), { maxLength: 40 })
    fc.assert(
      fc.property(names, (tenants) => {
        const range = { base: 200_000, size: 40 }
        const map: Record<string, number> = Object.create(null)
        for (const tenant of tenants) map[tenant] = uidFor(map, tenant, range) ?? -1
        const uids = Object.values(map)
        expect(new Set(uids).size).toBe(tenants.length)
        expect(uids.every((uid) => uid >= 200_000 && uid < 200_040)).toBe(true)
        for (const tenant of tenants) expect(uidFor(map, tenant, range)).toBe(map[tenant])
      }),
    )
  })

  it('run out', () => {
    expect(uidFor({ a: 5 }, 'b', { base: 5, size: 1 })).toBeUndefined()
  })
})

describe('inventory', () => {
  it('reads what nvidia-smi prints', () => {
    const output =
      '0, GPU-5b2c1c9e-0b1a-4a5e-9d35-0d6f1f1f7a01, NVIDIA H200, 143771\n' +
      '1, GPU-5b2c1c9e-0b1a-4a5e-9d35-0d6f1f1f7a02, NVIDIA H200, 143771\n'
    expect(parseNvidiaSmi(output)).toEqual(
      [0, 1].map((index) => ({
        index,
        uuid: `GPU-5b2c1c9e-0b1a-4a5e-9d35-0d6f1f1f7a0${index + 1}`,
        model: 'NVIDIA H200',
        memoryMib: 143_771,
        emulated: false,
        healthy: true,
      })),
    )
  })

  it('keeps broken devices as unhealthy and passes over what is no device', () => {
    const output =
      '0, GPU-5b2c1c9e-0b1a-4a5e-9d35-0d6f1f1f7a01, NVIDIA A100-SXM4-40GB, [N/A]\n' +
      '1, ERR!, ERR!, ERR!\n' +
      'Unable to determine the device handle for GPU 0000:3B:00.0: Unknown Error\n' +
      '  MIG 1g.5gb Device 0: (UUID: MIG-3a1b)\n' +
      '2, GPU-5b2c1c9e-0b1a-4a5e-9d35-0d6f1f1f7a03, Tesla T4, 15360\n'
    expect(parseNvidiaSmi(output).map(({ index, healthy }) => [index, healthy])).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ])
    expect(parseNvidiaSmi('NVIDIA-SMI has failed because it could not communicate\n')).toEqual([])
    expect(parseNvidiaSmi('')).toEqual([])
  })

  it('labels emulated accelerators everywhere', () => {
    const devices = emulatedDevices('n1', [{ count: 2, model: 'H100', memoryMib: 81_920 }], 3)
    expect(devices.map(({ index, uuid, model }) => [index, uuid, model])).toEqual([
      [3, 'emulated-n1-3', 'emulated/H100'],
      [4, 'emulated-n1-4', 'emulated/H100'],
    ])
    expect(devices.every(({ emulated }) => emulated)).toBe(true)
    expect(deviceEnvironment('n1', devices.slice(0, 1), true)).toEqual({
      SAI_NODE_ID: 'n1',
      SAI_VISIBLE_DEVICES: '3',
      SAI_DEVICE_MODEL: 'emulated/H100',
      SAI_DEVICES_EMULATED: '1',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      CUDA_VISIBLE_DEVICES: '',
    })
  })

  it('takes the longest run of free ports', () => {
    const of = (text: string) =>
      longestFreeRun(
        100,
        [...text].map((c) => c === '.'),
      )
    expect(of('..x...x.')).toEqual({ first: 103, last: 105 })
    expect(of('...')).toEqual({ first: 100, last: 102 })
    expect(of('xx')).toBeUndefined()
  })
})

it('an environment cannot override what the node says', () => {
  const dirs = { taskDir: '/t', tmp: '/t/tmp', cwd: '/t/w' }
  const paths = { ...dirs, checkpointDir: '/c', report: '/t/r', notice: '/t/n' }
  const env = { SAI_EXECUTION: 'x', SAI_REPORT: 'y', HOME: '/home', PATH: '/own' }
  const found = taskEnvironment({ nodeBinDir: '/node', paths, env, marker: 'm' })
  expect(found).toMatchObject({ SAI_EXECUTION: 'm', SAI_REPORT: '/t/r' })
  expect(found).toMatchObject({ HOME: '/home', PATH: '/own' })
  const base = taskEnvironment({ nodeBinDir: '/node', paths, env: {}, marker: 'm' })
  expect(base.PATH).toMatch(/^\/node:/)
})

it('back-off doubles up to its maximum', () => {
  const delays = [1, 2, 3, 4, 20].map((failures) => delayMs(AGENT_RESTART, failures))
  expect(delays).toEqual([250, 500, 1000, 2000, 30_000])
  expect([jitter(100, 0), jitter(100, 0.999)]).toEqual([50, 99.95])
})

it('one report is in flight, and it is the same until it is acknowledged', () => {
  const outbox = newOutbox()
  const content = () => ({
    executions: [],
    taskReports: [],
    applied: { epoch: '1', position: '1' },
  })
  const first = nextReport(outbox, content)
  expect(first?.number).toBe(1)
  outbox.dirty = true
  expect(nextReport(outbox, content)).toBeUndefined()
  expect(acknowledge(outbox, 2)).toBe(false)
  expect(outbox.inFlight).toBe(first)
  expect(acknowledge(outbox, 1)).toBe(true)
  expect(acknowledge(outbox, 1)).toBe(false)
  expect(nextReport(outbox, content)?.number).toBe(2)
  expect(acknowledge(outbox, 2)).toBe(true)
  expect(nextReport(outbox, content)).toBeUndefined()
})

describe('entries of a workspace', () => {
  const entry = (path: string, type = 'File', linkpath = '') =>
    entryProblem({ path, type, linkpath, size: 1 })

  it('stay inside', () => {
    expect(entry('a/b.py')).toBe('')
    expect(entry('./a')).toBe('')
    expect(entry('a/l', 'SymbolicLink', '../b')).toBe('')
    expect(entry('a/l', 'Link', 'b/c')).toBe('')
  })

  it('that lead out are refused', () => {
    expect(entry('../a')).toContain('..')
    expect(entry('a/../../b')).toContain('..')
    expect(entry('/etc/passwd')).toContain('leads out')
    expect(entry('l', 'SymbolicLink', '/etc')).toContain('link out')
    expect(entry('a/l', 'SymbolicLink', '../../x')).toContain('link out')
    expect(entry('l', 'Link', '../x')).toContain('link out')
    expect(entry('dev', 'CharacterDevice')).toContain('CharacterDevice')
  })
})

describe('configuration', () => {
  const least = { nodeId: 'n1', nodeDir: '/n', poolAddress: '127.0.0.1:1', token: 'secret' }

  it('has defaults that follow from each other', () => {
    const parsed = parseNodeConfig(least, '/bin-of-node')
    expect(parsed).toMatchObject({
      ok: true,
      config: {
        workDir: '/n/work',
        checkpointDir: '/n/work/checkpoints',
        workspaceAddress: '127.0.0.1:1',
        uidBase: 200_000,
        uidSize: 10_000,
        nodeBinDir: '/bin-of-node',
      },
    })
  })

  it('takes a certificate in place of a token, with all of its files', () => {
    const { token: _, ...rest } = least
    const tls = { tlsCa: '/t/ca.crt', tlsCert: '/t/n1.crt', tlsKey: '/t/n1.key' }
    expect(parseNodeConfig({ ...rest, ...tls }, '/b')).toMatchObject({ ok: true, config: tls })
    const half = parseNodeConfig({ ...least, tlsCert: '/t/n1.crt' }, '/b')
    expect(half.ok ? [] : half.problems.map((problem) => problem.split(':')[0])).toEqual([
      'tlsCa',
      'tlsKey',
    ])
    expect(parseNodeConfig(rest, '/b').ok).toBe(false)
    // What was filled in can be read again.
    const written = [least, { ...rest, ...tls }].map((one) => parseNodeConfig(one, '/b'))
    const again = written.map((one) => parseNodeConfig(one.ok ? one.config : {}, '/b'))
    expect(again).toEqual(written)
    expect(again.every((one) => one.ok)).toBe(true)
  })

  it('names every problem and never the token', () => {
    const bad = { nodeId: '../x', nodeDir: 'n', token: 'a b', uidBase: 0, extra: 1, portFirst: '1' }
    const parsed = parseNodeConfig(bad, '/b')
    const problems = parsed.ok ? [] : parsed.problems
    for (const name of [
      'nodeId',
      'nodeDir',
      'token',
      'uidBase',
      'extra',
      'portFirst',
      'poolAddress',
    ]) {
      expect(
        problems.some((problem) => problem.startsWith(`${name}: `)),
        name,
      ).toBe(true)
    }
    expect(problems.join()).not.toContain('a b')
    expect(parseNodeConfig({ ...least, portFirst: 3000, portLast: 2000 }, '/b').ok).toBe(false)
    expect(parseNodeConfig([], '/b').ok).toBe(false)
  })
})
