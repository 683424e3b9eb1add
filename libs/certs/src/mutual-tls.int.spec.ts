import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import { QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import { type Principal, type RpcError, type TransportServer } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import {
  createGrpcServer,
  createGrpcTransport,
  type Identity,
  parseTlsMaterial,
  staticTokens,
  type TlsMaterial,
  type TlsSource,
} from '@serverless-ai/rpc'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { issueCertificate, type KeyPairPem, makeAuthority } from './index.ts'

const DAY_MS = 86_400_000
const quiet = { log: () => undefined, child: () => quiet }
const FILES = { ca: 'ca.crt', cert: 'own.crt', key: 'own.key' }
const START_MS = Date.now()
const valid = (fromMs = -DAY_MS, toMs = DAY_MS) => ({
  notBeforeMs: START_MS + fromMs,
  notAfterMs: START_MS + toMs,
})

let ca: KeyPairPem
let otherCa: KeyPairPem
beforeAll(async () => {
  ca = await makeAuthority('test', valid())
  otherCa = await makeAuthority('other', valid())
})

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()))
})

/** Material of an identity like `service/scheduler`; `trusts` is the authority it believes. */
async function material(
  who: string,
  more: {
    readonly by?: KeyPairPem
    readonly trusts?: KeyPairPem
    readonly validity?: ReturnType<typeof valid>
    readonly domain?: string
  } = {},
): Promise<TlsMaterial> {
  const { by = ca, trusts = ca, validity = valid(), domain: trustDomain = 'cell.test' } = more
  const [kind, name = ''] = who.split('/')
  const identity: Identity = { trustDomain, kind: kind as Identity['kind'], name }
  const { cert, key } = await issueCertificate(by, identity, validity)
  // Looked at when it was valid: what is over later is for the other side to refuse.
  return parseTlsMaterial({ ca: trusts.cert, cert, key }, FILES, validity.notBeforeMs)
}

/** A source that a test replaces by hand. */
class Source implements TlsSource {
  #material: TlsMaterial
  readonly #listeners = new Set<(material: TlsMaterial) => void>()
  constructor(first: TlsMaterial) {
    this.#material = first
  }
  current = () => this.#material
  onChange(listener: (material: TlsMaterial) => void) {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
  replace(next: TlsMaterial) {
    this.#material = next
    for (const listener of this.#listeners) listener(next)
  }
}

/** A scheduler whose queue list names the caller, and whose health is a stream. */
async function serve(
  source: TlsSource,
  more: { requireCertificate?: boolean; nowMs?: number } = {},
) {
  const seen: Principal[] = []
  const clock = { ...systemClock, wallMs: () => more.nowMs ?? Date.now() }
  const { requireCertificate = false } = more
  const server: TransportServer = createGrpcServer({
    clock,
    timers: systemTimers,
    logger: quiet,
    tls: { source, requireCertificate },
    authenticate: staticTokens([
      { token: 'secret', principal: { subject: 'admin', tenant: '', roles: ['admin'] } },
    ]),
  })
  server.add(QueueServiceService, {
    createQueue: () => Promise.reject(new Error('not here')),
    listQueues: async (_request, { principal }) => {
      seen.push(principal)
      return { queues: [], nextPageToken: '', position: '' }
    },
  })
  const status = HealthCheckResponse_ServingStatus.SERVING
  server.add(HealthService, {
    check: async () => ({ status }),
    list: async () => ({ statuses: {} }),
    async *watch(_request, { signal }) {
      yield { status }
      await systemTimers.sleep(60_000, signal)
    },
  })
  const address = await server.listen('127.0.0.1:0')
  closing.push(() => server.close(0))
  return { address, seen, server }
}

function call(address: string, tls: TlsSource | undefined, token?: string) {
  const transport = createGrpcTransport({
    clock: systemClock,
    ...(tls === undefined ? {} : { tls }),
  })
  closing.push(() => transport.close())
  const target = token === undefined ? { address } : { address, token }
  const queues = transport.client(QueueServiceService, target)
  const health = transport.client(HealthService, target)
  const list = () =>
    queues.listQueues({ pageSize: 10, pageToken: '', minPosition: '' }, { timeoutMs: 5_000 })
  return { list, health }
}

const reasonOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: RpcError) => error.reason,
  )

it('the certificate says who calls, whatever token comes along', async () => {
  const { address, seen } = await serve(new Source(await material('service/scheduler')))
  await call(address, new Source(await material('service/mediator')), 'secret').list()
  await call(address, new Source(await material('user/team-a'))).list()
  expect(seen).toEqual([
    { subject: 'service:mediator', tenant: '', roles: ['service'] },
    { subject: 'cert:team-a', tenant: 'team-a', roles: ['tenant'] },
  ])
  const node = call(address, new Source(await material('node/n1')))
  expect(await reasonOf(node.list())).toBe('PERMISSION_DENIED')
})

it('a server of another name, kind, authority or trust domain is not called', async () => {
  const client = new Source(await material('service/mediator'))
  const askAt = async (server: TlsMaterial) => {
    const { address, seen } = await serve(new Source(server))
    const { list, health } = call(address, client)
    const reasons = [await reasonOf(list()), await reasonOf(health.check({ service: '' }))]
    expect(seen).toEqual([])
    return reasons
  }
  const mismatch = 'SERVER_IDENTITY_MISMATCH'
  // What every service serves may be answered by any of them.
  expect(await askAt(await material('service/pool-manager'))).toEqual([mismatch, 'none'])
  expect(await askAt(await material('node/scheduler'))).toEqual([mismatch, mismatch])
  const domain = 'elsewhere.test'
  expect(await askAt(await material('service/scheduler', { domain }))).toEqual([mismatch, mismatch])
  const foreign = await material('service/scheduler', { by: otherCa })
  expect(await askAt(foreign)).toEqual(['NOT_CONNECTED', 'NOT_CONNECTED'])
})

it('a caller of another authority or trust domain, or without TLS, gets nowhere', async () => {
  const { address, seen } = await serve(new Source(await material('service/scheduler')))
  const foreign = new Source(await material('service/mediator', { by: otherCa }))
  expect(await reasonOf(call(address, foreign).list())).toBe('UNAUTHENTICATED')
  const domain = 'elsewhere.test'
  const stranger = await material('service/mediator', { domain })
  // It believes the server's name, so that the server is asked.
  const fooled = new Source({
    ...stranger,
    identity: { ...stranger.identity, trustDomain: 'cell.test' },
  })
  expect(await reasonOf(call(address, fooled).list())).toBe('IDENTITY_UNKNOWN')
  expect(await reasonOf(call(address, undefined, 'secret').list())).not.toBe('none')
  // A token is for those without a certificate that counts.
  expect(await reasonOf(call(address, foreign, 'secret').list())).toBe('none')
  expect(seen.map(({ subject }) => subject)).toEqual(['admin'])
})

it('where certificates are required, others are not even connected', async () => {
  const source = new Source(await material('service/scheduler'))
  const { address, seen } = await serve(source, { requireCertificate: true })
  const foreign = new Source(await material('service/mediator', { by: otherCa }))
  expect(await reasonOf(call(address, foreign, 'secret').list())).not.toBe('none')
  expect(seen).toEqual([])
  await call(address, new Source(await material('service/mediator'))).list()
  expect(seen).toHaveLength(1)
})

it('new connections take rotated material, on both sides and with a new authority', async () => {
  const server = new Source(await material('service/scheduler'))
  const client = new Source(await material('service/mediator'))
  const { address, seen } = await serve(server)
  const caller = call(address, client)
  await caller.list()
  // First both authorities are trusted, then the new one signs.
  const both = { ...ca, cert: ca.cert + otherCa.cert }
  server.replace(await material('service/scheduler', { by: otherCa, trusts: both }))
  const late = call(address, new Source(await material('service/mediator')))
  expect(await reasonOf(late.list())).toBe('NOT_CONNECTED')
  client.replace(await material('service/fault-tolerance', { by: otherCa, trusts: both }))
  await caller.list()
  expect(seen.map(({ subject }) => subject)).toEqual([
    'service:mediator',
    'service:fault-tolerance',
  ])
})

it('a certificate that is over is refused by either side', async () => {
  const over = valid(-2 * DAY_MS, -1_000)
  const { address } = await serve(new Source(await material('service/scheduler')))
  const client = new Source(await material('service/mediator', { validity: over }))
  expect(await reasonOf(call(address, client).list())).toBe('UNAUTHENTICATED')
  const expired = await serve(new Source(await material('service/scheduler', { validity: over })))
  const good = call(expired.address, new Source(await material('service/mediator')))
  await expect(good.list()).rejects.toThrow(/NOT_CONNECTED.*expired/)
})

it('a connection that outlives its certificate is of no use, nor are its streams', async () => {
  const rules: { nowMs?: number } = {}
  const { address } = await serve(new Source(await material('service/scheduler')), rules)
  const client = new Source(await material('service/mediator'))
  const caller = call(address, client)
  await caller.list()
  const { notAfterMs } = client.current()
  rules.nowMs = notAfterMs - 100
  let messages = 0
  const watch = async () => {
    const answers = caller.health.watch({ service: '' })
    for await (const _ of answers) messages += 1
  }
  expect(await reasonOf(watch())).toBe('CERTIFICATE_EXPIRED')
  expect(messages).toBe(1)
  rules.nowMs = notAfterMs
  expect(await reasonOf(caller.list())).toBe('CERTIFICATE_EXPIRED')
})
