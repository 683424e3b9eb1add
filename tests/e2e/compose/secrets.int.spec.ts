import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as certs from '@serverless-ai/certs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ROOT } from '../../support/root.ts'

const DAY_MS = 86_400_000
const FIRST_MS = Date.UTC(2030, 0, 1)
const KEYSTORE = 'kafka/kafka/keystore.pem'

/** The first step of `docker compose up`, as the script has it. */
interface Step {
  provide(): Promise<readonly string[]>
}
type Made = new (init: object) => Step

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sai-compose-secrets-'))
  mkdirSync(join(root, 'var/lib/serverless-ai'), { recursive: true })
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Tells what `up` tells so many days after the first one. Only root may give files away. */
async function up(day: number): Promise<readonly string[]> {
  const { Secrets }: { Secrets: Made } = await import(join(ROOT, 'infra/compose/secrets.mjs'))
  const nowMs = FIRST_MS + day * DAY_MS
  return new Secrets({ certs, nowMs, root, chown: () => undefined }).provide()
}

const given = (file: string): string => readFileSync(join(root, 'secrets-of', file), 'utf8')
const daysLeft = (file: string, day: number): number => {
  const endMs = Date.parse(new X509Certificate(given(file)).validTo)
  return Math.round((endMs - FIRST_MS) / DAY_MS) - day
}
/** Of each kind one. */
const LEAVES = [
  'scheduler/service-scheduler.crt',
  'gateway/service-gateway.crt',
  'n1/node-n1.crt',
  'people/user-team-a.crt',
]
const SECRETS = [
  'kafka/kafka/admin.password',
  'scheduler/kafka/serverless-ai.password',
  'scheduler/service-scheduler.key',
]

it('what is there stays, until fewer than thirty days are left', async () => {
  expect(await up(0)).toEqual(['certificates, passwords and tokens are there'])
  const files = [...LEAVES, ...SECRETS, KEYSTORE, 'scheduler/ca.crt']
  const first = files.map(given)
  expect(await up(59)).toHaveLength(1)
  expect(files.map(given)).toEqual(first)
})

it('certificates that end soon are made anew, and those who use them are given them', async () => {
  await up(0)
  const ca = given('scheduler/ca.crt')
  const [tokens, password] = ['var/lib/serverless-ai/tokens.json', 'secrets/kafka/admin.password']
  const kept = [tokens, password].map((file) => readFileSync(join(root, file), 'utf8'))
  expect(LEAVES.map((file) => daysLeft(file, 61))).toEqual([29, 29, 29, 29])
  const [, renewed = ''] = await up(61)
  expect(renewed).toContain('made anew: service-mediator, service-scheduler')
  expect(LEAVES.map((file) => daysLeft(file, 61))).toEqual([90, 90, 90, 90])
  expect(given('scheduler/ca.crt')).toBe(ca)
  const [leaf, key] = [LEAVES[0], 'scheduler/service-scheduler.key'].map((one = '') => given(one))
  const pem = { ca, cert: leaf ?? '', key: key ?? '' }
  expect(fits(pem)).toBe(true)
  expect([tokens, password].map((file) => readFileSync(join(root, file), 'utf8'))).toEqual(kept)
})

it('whoever comes back after all has ended has a platform that works', async () => {
  await up(0)
  await up(200)
  expect(LEAVES.map((file) => daysLeft(file, 200))).toEqual([90, 90, 90, 90])
  expect(daysLeft(KEYSTORE, 200)).toBe(165)
  const lines = await up(340)
  expect(daysLeft(KEYSTORE, 340)).toBe(365)
  expect(lines.join('\n')).toContain('docker compose restart kafka')
})

it('a key whose certificate did not get written is made anew with it', async () => {
  await up(0)
  const { key } = await certs.makeAuthority('x', { notBeforeMs: FIRST_MS, notAfterMs: FIRST_MS })
  writeFileSync(join(root, 'secrets/node-n1.key'), key)
  expect(await up(1)).toContain('made anew: node-n1')
  const pem = {
    ca: given('n1/ca.crt'),
    cert: given('n1/node-n1.crt'),
    key: given('n1/node-n1.key'),
  }
  expect(fits(pem)).toBe(true)
})

it('an authority of a year, of an earlier version, is given ten under its key', async () => {
  const directory = join(root, 'secrets')
  await certs.initAuthority({ directory, days: 365, nowMs: FIRST_MS })
  const key = readFileSync(join(directory, 'ca.key'), 'utf8')
  const lines = await up(400)
  expect(lines.join('\n')).toContain('docker compose restart')
  expect(daysLeft('n1/ca.crt', 400)).toBe(3_650)
  expect(readFileSync(join(directory, 'ca.key'), 'utf8')).toBe(key)
  expect(daysLeft('n1/node-n1.crt', 400)).toBe(90)
})

function fits({ ca, cert, key }: { ca: string; cert: string; key: string }): boolean {
  const [leaf, authority] = [new X509Certificate(cert), new X509Certificate(ca)]
  return leaf.verify(authority.publicKey) && leaf.checkPrivateKey(createPrivateKey(key))
}
