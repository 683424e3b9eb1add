import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Bench } from '../testing/bench.ts'

let bench: Bench
beforeEach(async () => {
  bench = new Bench()
  await bench.open()
  await bench.writeContexts()
})
afterEach(() => rm(bench.directory, { recursive: true, force: true }))

describe('sai queue create', () => {
  const create = (...options: string[]) =>
    bench.sai('queue', 'create', ...options, '--data', bench.directory)

  test('is done as the operator, with the defaults told', async () => {
    expect(await create('vision', '--tenant', 'a')).toBe(0)
    expect(bench.out).toBe('queue vision of tenant a: weight 1, priority 0, no maximum\n')
  })

  test('takes a maximum in the units of a description', async () => {
    const rules = ['--tenant', 'a', '--weight', '3', '--priority', '-5']
    const most = ['--max-devices', '4', '--max-cpu', '1.5', '--max-memory', '2Gi']
    expect(await create('low', ...rules, ...most, '--json')).toBe(0)
    expect(bench.madeQueues).toMatchObject([{ name: 'low', tenant: 'a', weight: 3, priority: -5 }])
    const maximum = { devices: 4, cpuMillis: '1500', memoryMib: '2048' }
    expect(JSON.parse(bench.out)).toMatchObject({ name: 'low', maximum })
  })

  test.each([
    [['--tenant', 'a', '--max-memory', '2GB'], '--max-memory takes Mi, Gi or Ti'],
    [['--tenant', 'a', '--max-cpu', '-1'], '--max-cpu takes cores'],
    [['--tenant', 'a', '--weight', '0'], '--weight must be a whole number from 1 to 1000'],
    [[], "required option '--tenant <tenant>' not specified"],
  ])('usage: %j', async (options, message) => {
    expect(await create('x', ...options)).toBe(2)
    expect(bench.err).toContain(message)
    expect(bench.madeQueues).toEqual([])
  })

  test('another context is refused by the platform', async () => {
    expect(await create('x', '--tenant', 'a', '--as', 'a')).toBe(3)
  })
})
