import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fileBaseOf, initAuthority, issue, listCertificates, renewAuthority } from './index.ts'

const DAY_MS = 86_400_000
const nowMs = Date.UTC(2030, 0, 1)
const node = { trustDomain: 'cell.test', kind: 'node', name: 'n1' } as const

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sai-certs-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

it("an authority is made once, and its key is its owner's", async () => {
  const made = await initAuthority({ directory, days: 365, nowMs })
  expect(made).toMatchObject({ identity: '', daysLeft: 365 })
  expect((await stat(join(directory, 'ca.key'))).mode & 0o777).toBe(0o600)
  const key = await readFile(join(directory, 'ca.key'), 'utf8')
  await expect(initAuthority({ directory, days: 1, nowMs })).rejects.toMatchObject({
    code: 'CA_EXISTS',
  })
  expect(await readFile(join(directory, 'ca.key'), 'utf8')).toBe(key)
})

it('issues, renews and lists; nothing outlives the authority', async () => {
  await initAuthority({ directory, days: 100, nowMs })
  const first = await issue({ directory, identity: node, days: 30, nowMs })
  expect(first).toMatchObject({ identity: 'spiffe://cell.test/node/n1', daysLeft: 30 })
  expect((await stat(join(directory, `${fileBaseOf(node)}.key`))).mode & 0o777).toBe(0o600)
  const later = nowMs + 20 * DAY_MS
  const second = await issue({ directory, identity: node, days: 365, nowMs: later })
  expect(second.fingerprint).not.toBe(first.fingerprint)
  expect(second.daysLeft).toBe(80)
  const listed = await listCertificates(directory, later)
  expect(listed.map(({ identity }) => identity)).toEqual(['', 'spiffe://cell.test/node/n1'])
  expect(listed[1]).toEqual(second)
})

it('says what is missing or over', async () => {
  await expect(issue({ directory, identity: node, days: 1, nowMs })).rejects.toMatchObject({
    code: 'CA_MISSING',
  })
  await expect(listCertificates(directory, nowMs)).rejects.toMatchObject({ code: 'CA_MISSING' })
  await initAuthority({ directory, days: 1, nowMs })
  const late = { directory, identity: node, days: 1, nowMs: nowMs + 2 * DAY_MS }
  await expect(issue(late)).rejects.toMatchObject({ code: 'CA_EXPIRED' })
})

it('an authority that is over is given new days, and what it has issued stays good', async () => {
  await initAuthority({ directory, days: 10, nowMs })
  await issue({ directory, identity: node, days: 10, nowMs })
  const read = (file: string) => readFile(join(directory, file), 'utf8')
  const [old, key] = [new X509Certificate(await read('ca.crt')), await read('ca.key')]
  const later = nowMs + 11 * DAY_MS
  expect(await renewAuthority({ directory, days: 100, nowMs: later })).toMatchObject({
    identity: '',
    daysLeft: 100,
  })
  expect(await read('ca.key')).toBe(key)
  const authority = new X509Certificate(await read('ca.crt'))
  const signed = async (by: X509Certificate) => {
    const leaf = new X509Certificate(await read(`${fileBaseOf(node)}.crt`))
    return [leaf.checkIssued(by), leaf.verify(by.publicKey)]
  }
  expect(await signed(authority)).toEqual([true, true])
  expect(await issue({ directory, identity: node, days: 50, nowMs: later })).toMatchObject({
    daysLeft: 50,
  })
  // Who still has the old one trusts what is issued now.
  expect([await signed(old), await signed(authority)]).toEqual([
    [true, true],
    [true, true],
  ])
  expect(authority.verify(authority.publicKey)).toBe(true)
})
