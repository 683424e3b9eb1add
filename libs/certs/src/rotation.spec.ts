import type { Logger } from '@serverless-ai/kernel'
import { testPorts } from '@serverless-ai/kernel/testing'
import { openTlsFiles, TLS_CHECK_MS } from '@serverless-ai/rpc'
import { beforeEach, expect, it } from 'vitest'
import { issueCertificate, type KeyPairPem, makeAuthority } from './index.ts'

const DAY_MS = 86_400_000
const FILES = { ca: '/tls/ca.crt', cert: '/tls/own.crt', key: '/tls/own.key' }

let ports: ReturnType<typeof testPorts>
let ca: KeyPairPem
let first: KeyPairPem
let logged: string[]
const logger: Logger = {
  log: (level, message, fields) => void logged.push(`${level} ${message} ${fields?.problem ?? ''}`),
  child: () => logger,
}

const validity = (days: number) => {
  const nowMs = ports.clock.wallMs()
  return { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + days * DAY_MS }
}
const certificate = (days: number, name = 'scheduler') =>
  issueCertificate(ca, { trustDomain: 'cell.test', kind: 'service', name }, validity(days))
const put = (path: string, text: string) =>
  ports.time.run(ports.disk.writeAtomic(path, Buffer.from(text)))
const open = () => ports.time.run(openTlsFiles({ files: FILES, ...ports, logger }))
const nextLook = () => ports.time.run(ports.timers.sleep(TLS_CHECK_MS + 1))

beforeEach(async () => {
  ports = testPorts({ seed: 1 })
  logged = []
  ca = await makeAuthority('test', validity(100))
  first = await certificate(30)
  await ports.time.run(ports.disk.makeDirectory('/tls'))
  await put(FILES.ca, ca.cert)
  await put(FILES.cert, first.cert)
  await put(FILES.key, first.key)
})

it('a rotation is taken when both of its files are there, not before', async () => {
  const source = await open()
  const seen: string[] = []
  source.onChange(({ cert }) => seen.push(cert))
  const second = await certificate(30)
  await put(FILES.key, second.key)
  await nextLook()
  expect(source.current().cert).toBe(first.cert)
  expect(logged.join()).toContain('is not the key of')
  await put(FILES.cert, second.cert)
  await nextLook()
  expect(source.current().cert).toBe(second.cert)
  expect(seen).toEqual([second.cert])
  await nextLook()
  expect(seen).toHaveLength(1)
  source.close()
})

it('a certificate of somebody else is refused, at the start and as a rotation', async () => {
  const owned = (name: string) =>
    openTlsFiles({ files: FILES, owner: { kind: 'service', name }, ...ports, logger })
  await expect(ports.time.run(owned('mediator'))).rejects.toThrow(
    'is of spiffe://cell.test/service/scheduler; spiffe://cell.test/service/mediator was expected',
  )
  const source = await ports.time.run(owned('scheduler'))
  const other = await certificate(30, 'mediator')
  await put(FILES.cert, other.cert)
  await put(FILES.key, other.key)
  await nextLook()
  expect(source.current().cert).toBe(first.cert)
  expect(logged.join()).toContain('service/scheduler was expected')
  source.close()
})

it('the old material stays while a file is away, and one warning is logged', async () => {
  const source = await open()
  await ports.time.run(ports.disk.remove(FILES.cert))
  await nextLook()
  await nextLook()
  expect(source.current().cert).toBe(first.cert)
  expect(logged).toHaveLength(1)
  source.close()
  const second = await certificate(30)
  await put(FILES.key, second.key)
  await put(FILES.cert, second.cert)
  await nextLook()
  expect(source.current().cert).toBe(first.cert)
})

it('warns once of a certificate that is over soon', async () => {
  const soon = await certificate(2)
  await put(FILES.key, soon.key)
  await put(FILES.cert, soon.cert)
  const source = await open()
  await nextLook()
  await nextLook()
  expect(logged).toEqual([`warn TLS files need a look ${FILES.cert} is over soon`])
  source.close()
})

it.each([
  ['a file that is away', async () => ports.time.run(ports.disk.remove(FILES.ca)), FILES.ca],
  ['a file that is no PEM', () => put(FILES.cert, 'x'), FILES.cert],
  [
    'a certificate that is over',
    async () => {
      const over = await certificate(-0.5)
      await put(FILES.key, over.key)
      await put(FILES.cert, over.cert)
    },
    'is over since',
  ],
  [
    'a certificate without an identity',
    async () => {
      await put(FILES.key, ca.key)
      await put(FILES.cert, ca.cert)
    },
    'has no identity',
  ],
])('does not start with %s', async (_, break_, text) => {
  await break_()
  await expect(open()).rejects.toThrow(text)
  await expect(open()).rejects.toMatchObject({ reason: 'TLS_MATERIAL_INVALID' })
})
