import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Bench } from '../testing/bench.ts'

let bench: Bench
beforeEach(async () => {
  bench = new Bench()
  await bench.open()
})
afterEach(() => rm(bench.directory, { recursive: true, force: true }))

it('makes an authority, issues, renews and shows', async () => {
  const dir = join(bench.directory, 'tls')
  const sai = (...words: string[]) => bench.sai('admin', 'certs', ...words, '--dir', dir)
  expect(await sai('init')).toBe(0)
  expect(await sai('issue', 'service/scheduler', 'node/n1', '--days', '30')).toBe(0)
  expect((await stat(join(dir, 'node-n1.key'))).mode & 0o777).toBe(0o600)
  bench.out = ''
  expect(await sai('issue', 'node/n1', '--trust-domain', 'cell.test')).toBe(0)
  expect(await sai('show')).toBe(0)
  expect(bench.out).toContain('spiffe://serverless-ai.local/service/scheduler')
  expect(bench.out).toContain('spiffe://cell.test/node/n1')
  bench.out = ''
  expect(await sai('show', '--json')).toBe(0)
  const { certificates } = JSON.parse(bench.out)
  expect(certificates.map((one: { daysLeft: number }) => one.daysLeft)).toEqual([3649, 89, 29])
})

it('refuses what cannot be, with the mend', async () => {
  const dir = join(bench.directory, 'tls')
  const sai = (...words: string[]) => bench.sai('admin', 'certs', ...words, '--dir', dir)
  expect(await sai('issue', 'service/scheduler')).toBe(2)
  expect(bench.err).toContain('sai admin certs init')
  await sai('init')
  expect(await sai('init')).toBe(2)
  expect(await sai('issue', 'scheduler')).toBe(2)
  expect(bench.err).toContain('service/NAME')
  expect(await sai('issue', 'node/a/../ca')).toBe(2)
  expect(await sai('issue', 'node/n1', '--days', '0')).toBe(2)
})
