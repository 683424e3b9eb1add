import { PartitionStatus } from '@serverless-ai/contracts/admin/v1/admin'
import { beforeEach, describe, expect, it } from 'vitest'
import { Bench, refused } from '../testing/bench.ts'

let bench: Bench
const partition = (service: string): PartitionStatus =>
  PartitionStatus.fromPartial({ service, role: 'Leading', featureLevel: 1, knownFeatureLevel: 2 })

beforeEach(async () => {
  bench = new Bench()
  await bench.open()
  await bench.writeContexts()
  bench.partitions = [partition('scheduler'), partition('mediator')]
})

describe('sai admin level', () => {
  it('shows the level of each log and what each replica knows', async () => {
    expect(await bench.sai('admin', 'level', 'show', '--data', bench.directory)).toBe(0)
    expect(bench.out).toMatch(/SERVICE +LEVEL +REPLICA +KNOWS/)
    expect(bench.out).toMatch(/mediator\/0 +1 +r1 +2 +Leading/)
    await bench.sai('admin', 'level', 'show', '--json', '--data', bench.directory)
    expect(JSON.parse(bench.out)).toMatchObject({
      partitions: [{ service: 'scheduler', featureLevel: 1, knownFeatureLevel: 2 }, {}],
      silent: [],
    })
  })

  it('looks at all services before it raises the first', async () => {
    expect(await bench.sai('admin', 'level', 'raise', '2', '--data', bench.directory)).toBe(0)
    const asked = bench.raises.map(({ service, level, validateOnly }) => [
      service,
      level,
      validateOnly,
    ])
    expect(asked).toEqual([
      ['scheduler', 2, true],
      ['mediator', 2, true],
      ['scheduler', 2, false],
      ['mediator', 2, false],
    ])
    expect(bench.out).toContain('mediator is at feature level 2 (r1 knows 2)')
  })

  it('raises nothing when one service cannot be, or nothing is wanted but to know', async () => {
    bench.raiseError = refused('FAILED_PRECONDITION', 'REPLICAS_NOT_READY')
    expect(await bench.sai('admin', 'level', 'raise', '2', '--data', bench.directory)).toBe(3)
    expect(bench.err).toContain('REPLICAS_NOT_READY')
    bench.raiseError = undefined
    expect(
      await bench.sai('admin', 'level', 'raise', '2', '--dry-run', '--data', bench.directory),
    ).toBe(0)
    expect(bench.raises.every(({ validateOnly }) => validateOnly)).toBe(true)
  })

  it('leaves out replicas by name, and services that were not asked for', async () => {
    const only = ['--service', 'mediator', '--without', 'r2,r3']
    expect(
      await bench.sai('admin', 'level', 'raise', '2', ...only, '--data', bench.directory),
    ).toBe(0)
    expect(bench.raises.at(-1)).toMatchObject({ service: 'mediator', without: ['r2', 'r3'] })
    expect(bench.raises).toHaveLength(2)
    const gone = ['--service', 'gone']
    expect(
      await bench.sai('admin', 'level', 'raise', '2', ...gone, '--data', bench.directory),
    ).toBe(4)
    expect(bench.err).toContain('nobody here serves gone')
  })
})

/** One process of two does not answer; what its caller gave it, in time. */
async function silentOne(code: 'UNAVAILABLE' | 'DEADLINE_EXCEEDED') {
  const limits: (number | undefined)[] = []
  const address = await bench.beside((limitMs) => {
    limits.push(limitMs)
    return Promise.reject(refused(code, code))
  })
  return { limits, options: ['--address', address, '--token', 'admin'] }
}

describe.each(['UNAVAILABLE', 'DEADLINE_EXCEEDED'] as const)('a process is silent: %s', (code) => {
  it('raises nothing, as nobody knows what it serves', async () => {
    const { options } = await silentOne(code)
    for (const more of [[], ['--dry-run']]) {
      expect(await bench.sai('admin', 'level', 'raise', '2', ...more, ...options)).toBe(5)
      expect(bench.err).toMatch(
        /^sai: no answer from 127\.0\.0\.1:\d+ \([A-Z_]+\): .*\[PROCESSES_SI/,
      )
      expect(bench.err).toContain(`(${code})`)
      expect(bench.err).toContain('--service NAME')
    }
    expect(bench.raises).toEqual([])
  })

  it('raises a service that answers, by its name', async () => {
    const { options } = await silentOne(code)
    const only = ['--service', 'mediator']
    expect(await bench.sai('admin', 'level', 'raise', '2', ...only, ...options)).toBe(0)
    expect(bench.raises.map(({ service }) => service)).toEqual(['mediator', 'mediator'])
  })

  it('is asked for seconds only, and shown as missing', async () => {
    const { options, limits } = await silentOne(code)
    expect(await bench.sai('admin', 'level', 'show', ...options)).toBe(0)
    expect(bench.out).toContain('mediator/0')
    expect(bench.out).toMatch(new RegExp(`no answer from .*: ${code}\nwhat only they serve is not`))
    expect(limits.length).toBeGreaterThan(0)
    for (const limitMs of limits) expect(limitMs).toBeLessThanOrEqual(5_000)
  })

  it('voids in a service that answers, and says who may serve another', async () => {
    const { options } = await silentOne(code)
    expect(await bench.sai('admin', 'log', 'void', 'scheduler', '7', ...options)).toBe(0)
    expect(await bench.sai('admin', 'log', 'void', 'pool-manager', '7', ...options)).toBe(5)
    expect(bench.err).toContain('nobody here serves pool-manager')
    expect(bench.err).toContain(`(${code}), which may serve it`)
    expect(bench.voids).toHaveLength(1)
  })
})

describe('sai admin log void', () => {
  it('shows the record first, and voids what was shown', async () => {
    expect(
      await bench.sai('admin', 'log', 'void', 'scheduler', '7', '--data', bench.directory),
    ).toBe(0)
    expect(bench.voids).toMatchObject([{ position: 7n, recordHash: '', validateOnly: true }])
    expect(bench.out).toContain('JobQueued {"jobId":"j"}')
    expect(bench.out).toContain('sai admin log void scheduler 7 --hash abc')
    const hash = ['--hash', 'abc', '--data', bench.directory]
    expect(await bench.sai('admin', 'log', 'void', 'scheduler', '7', ...hash)).toBe(0)
    expect(bench.voids[1]).toMatchObject({ recordHash: 'abc', validateOnly: false })
    expect(bench.out).toContain('void from now on (record 9)')
  })
})
