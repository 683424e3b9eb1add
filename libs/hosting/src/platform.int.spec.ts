import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DynamicModule, Module } from '@nestjs/common'
import { loadConfig } from '@serverless-ai/config'
import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { AppendRefusedError, type EventLog } from '@serverless-ai/eventlog'
import { RpcError } from '@serverless-ai/kernel'
import { systemClock } from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  createPlatformApp,
  isStartError,
  listenHttp,
  openPlatform,
  PlatformModule,
  platformConfig,
  SERVICE_KIT,
  type ServiceKit,
  startServices,
  systemPorts,
} from './index.ts'
import { type Count, counter } from './testing/counter.ts'

const COUNTER = Symbol('COUNTER')

@Module({})
class CounterModule {
  static with(): DynamicModule {
    const useFactory = ({ host }: ServiceKit) => host.add(counter)
    return {
      module: CounterModule,
      providers: [{ provide: COUNTER, inject: [SERVICE_KIT], useFactory }],
      exports: [COUNTER],
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'sai-hosting-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

async function start(
  required: readonly string[],
  wrap = (log: EventLog): EventLog => log,
  more: { readonly services?: readonly string[] } = {},
) {
  const port = await freePort()
  const argv = ['--data', data, '--port', String(port), '--log-level', 'silent']
  const config = loadConfig(platformConfig, { argv })
  const ports = systemPorts('test', config.logLevel)
  const base = { config, ports, tenants: ['team-a'], nodes: [], peers: {}, required }
  const { options, credentials } = await openPlatform({ ...base, ...more })
  expect(options.runtime).toEqual({ retentionMs: 14 * 86_400_000 })
  const platform = PlatformModule.with({ ...options, eventLog: wrap(options.eventLog) })
  const app = await createPlatformApp(platform, [CounterModule.with()])
  await app.init()
  await startServices(app)
  return { app, options, credentials }
}

it('serves status to operators only, is ready, and opens again where it stopped', async () => {
  const first = await start([])
  const runtime = first.app.get(COUNTER)
  await runtime.execute({ type: 'Add' })
  const ready = await first.app.getHttpAdapter().getInstance().inject('/readyz')
  expect(ready.statusCode).toBe(200)
  const transport = createGrpcTransport({ clock: systemClock })
  const { listen: address } = first.options
  const admin = transport.client(AdminServiceService, { address, token: first.credentials.admin })
  const { partitions } = await admin.getStatus({ withDigest: true })
  expect(partitions).toMatchObject([{ service: 'scheduler', role: 'Leading', epoch: 1n }])
  const tenant = first.credentials.tenants['team-a'] ?? ''
  const other = transport.client(AdminServiceService, { address, token: tenant })
  await expect(other.getStatus({ withDigest: false })).rejects.toThrow(RpcError)
  await transport.close()
  await first.app.close()

  const second = await start([])
  const { value } = await second.app.get(COUNTER).read((state: Count) => state.count)
  expect(value).toBe(1)
  await second.app.close()
})

it('lives, and is not ready, while its services are not started', async () => {
  const port = await freePort()
  const config = loadConfig(platformConfig, { argv: ['--data', data, '--port', String(port)] })
  const ports = systemPorts('test', 'silent')
  const base = { config, ports, tenants: [], nodes: [], peers: {}, required: [] }
  const { options } = await openPlatform(base)
  const app = await createPlatformApp(PlatformModule.with(options), [CounterModule.with()])
  await listenHttp(app, config)
  const ask = (path: string) => fetch(`http://127.0.0.1:${port + 1}${path}`)
  expect((await ask('/livez')).status).toBe(200)
  const notYet = await ask('/readyz')
  expect(notYet.status).toBe(503)
  expect(await notYet.text()).toContain('scheduler is not serving')
  await startServices(app)
  expect((await ask('/readyz')).status).toBe(200)
  await app.close()
})

it('a peer that is not there makes it not ready and names it', async () => {
  const { app } = await start(['scheduler', 'mediator'])
  const ready = await app.getHttpAdapter().getInstance().inject('/readyz')
  expect(ready.statusCode).toBe(503)
  expect(ready.json().missing.join()).toContain('mediator')
  await app.close()
})

it('a service alone does not take itself for a peer that nobody has told it of', async () => {
  const { app } = await start(['scheduler', 'mediator'], undefined, { services: ['scheduler'] })
  const { peers } = app.get<ServiceKit>(SERVICE_KIT)
  expect([peers.knows('scheduler'), peers.knows('mediator')]).toEqual([true, false])
  const ready = await app.getHttpAdapter().getInstance().inject('/readyz')
  expect(ready.statusCode).toBe(503)
  expect(ready.json().missing.join()).toContain('mediator; set --peers.mediator HOST:PORT')
  await app.close()
})

it('a second process on the data directory is refused', async () => {
  const { app } = await start([])
  await expect(start([])).rejects.toMatchObject({ name: 'LogOpenError', code: 'IN_USE' })
  await app.close()
})

it('is not ready while its log cannot be written, and says why', async () => {
  let full = false
  const { app } = await start([], (log) => ({
    kind: log.kind,
    durability: log.durability,
    append: (...args) =>
      full
        ? Promise.reject(new AppendRefusedError('DISK_FULL', 'no space left'))
        : log.append(...args),
    fetch: (...args) => log.fetch(...args),
    range: (...args) => log.range(...args),
    trim: (...args) => log.trim(...args),
    close: () => log.close(),
  }))
  const ask = () => app.getHttpAdapter().getInstance().inject('/readyz')
  const runtime = app.get(COUNTER)
  full = true
  await expect(runtime.execute({ type: 'Add' })).rejects.toMatchObject({ reason: 'DISK_FULL' })
  const refused = await ask()
  expect(refused.statusCode).toBe(503)
  expect(refused.body).toContain('no space left')
  full = false
  await expect.poll(async () => (await ask()).statusCode, { timeout: 10_000 }).toBe(200)
  await app.close()
})

it('replicas on the embedded log are refused with the mend', async () => {
  const config = loadConfig(platformConfig, { argv: ['--data', data] })
  const ports = systemPorts('test', 'silent')
  const base = { config, ports, tenants: [], nodes: [], peers: {}, required: [] }
  await expect(openPlatform({ ...base, replicas: ['r1', 'r2'] })).rejects.toMatchObject({
    name: 'LogStartError',
    message: expect.stringMatching(/^REPLICAS_NEED_KAFKA: r1, r2 .*--kafka\.brokers/s),
  })
})

it('brokers that nobody runs are a start error that names them', async () => {
  const argv = ['--data', data, '--kafka.brokers', `127.0.0.1:${await freePort()}`]
  const config = loadConfig(platformConfig, {
    argv: [...argv, '--kafka.request-timeout-ms', '1000'],
  })
  const ports = systemPorts('test', 'silent')
  const base = { config, ports, tenants: [], nodes: [], peers: {}, required: [] }
  const error = await openPlatform(base).catch((reason: unknown) => reason)
  expect(isStartError(error)).toBe(true)
  expect(String(error)).toMatch(/KAFKA_(UNREACHABLE|REFUSED): .*127\.0\.0\.1/)
})
