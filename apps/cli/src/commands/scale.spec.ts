import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Bench, job } from '../testing/bench.ts'

let bench: Bench
beforeEach(async () => {
  bench = new Bench()
  await bench.open()
  await bench.writeContexts()
})

afterEach(() => rm(bench.directory, { recursive: true, force: true }))

const here = () => ['--data', bench.directory]
const ID = 'j-0-0123456789ab'
const service = (more: object = {}) =>
  job({
    kind: 'Inference',
    tasks: 1,
    devicesPerTask: 1,
    state: 'STATE_RUNNING',
    scale: { unit: 'UNIT_REPLICAS', min: 0, max: 4, wanted: 2, granted: 2, ready: 1, version: '3' },
    replicas: [
      { gang: 1, generation: 1, state: 'Ready', node: 'n1', address: '10.0.0.1', port: 30_001 },
      { gang: 2, generation: 2, state: 'NotReady', node: 'n2', cause: 'GET /healthz: 503' },
    ],
    ...more,
  })

it('sai job list and get show replicas', async () => {
  bench.jobs = [service()]
  expect(await bench.sai('job', 'list', ...here())).toBe(0)
  expect(bench.out).toContain('1/2 replicas ready (0-4)')
  expect(bench.out).toContain('1×1 device each')
  await bench.sai('job', 'get', ID, ...here())
  expect(bench.out).toContain('scale       1/2 replicas ready (0-4); nobody decides yet')
  expect(bench.out).toContain('replica 1   Ready on n1 at 10.0.0.1:30001')
  expect(bench.out).toContain('NotReady on n2 at :0, generation 2: GET /healthz: 503')
  bench.jobs = [service({ kind: 'Training', replicas: [], scale: { unit: 'UNIT_TASKS', max: 4 } })]
  await bench.sai('job', 'list', ...here())
  expect(bench.out).toContain('0/0 tasks (0-4)')
})

it('sai job scale sets a number, and says what waits', async () => {
  bench.jobs = [service()]
  expect(await bench.sai('job', 'scale', ID, '3', ...here())).toBe(0)
  expect(bench.scales).toMatchObject([{ jobId: ID, wanted: 3, automatic: false }])
  expect(bench.scales[0]?.requestId).not.toBe('')
  expect(bench.out).toContain('1/3 replicas ready (0-4), user decides')
  expect(bench.out.split('\n').length).toBeGreaterThan(2)
  expect(await bench.sai('job', 'scale', ID, '--auto', '--json', ...here())).toBe(0)
  expect(bench.scales[1]).toMatchObject({ automatic: true })
  expect(JSON.parse(bench.out)).toMatchObject({ scale: { unit: 'UNIT_REPLICAS' } })
})

it('sai job update gives another description, or goes back', async () => {
  const update = { state: 'STATE_ROLLING', revision: 2, updated: 1, outdated: 1 }
  bench.jobs = [service({ update, revision: 2 })]
  bench.stdin = 'spec: {command: [node, v2.js]}\n'
  expect(await bench.sai('job', 'update', ID, '-f', '-', ...here())).toBe(0)
  expect(bench.updates).toMatchObject([{ jobId: ID, manifest: bench.stdin, toRevision: 0 }])
  expect(bench.out).toContain(`${ID} becomes revision 2 (rolling, 1 new ready, 1 old left)`)
  await bench.sai('job', 'update', ID, '--to-revision', '1', ...here())
  expect(bench.updates[1]).toMatchObject({ manifest: '', toRevision: 1 })
  await bench.sai('job', 'get', ID, ...here())
  expect(bench.out).toContain('revision    2: rolling, 1 new ready, 1 old left')
  for (const typed of [[], ['-f', '-', '--to-revision', '1']]) {
    expect(await bench.sai('job', 'update', ID, ...typed, ...here()), String(typed)).toBe(2)
  }
})

it('sai job scale wants one number, or --auto', async () => {
  bench.jobs = [service()]
  for (const typed of [[], ['many'], ['-1'], ['2', '--auto']]) {
    expect(await bench.sai('job', 'scale', ID, ...typed, ...here()), String(typed)).toBe(2)
  }
  expect(bench.scales).toEqual([])
})
