import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileBaseOf, initAuthority, issue } from '@serverless-ai/certs'
import { loadConfig } from '@serverless-ai/config'
import { AdminServiceService } from '@serverless-ai/contracts/admin/v1/admin'
import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import type { RpcError } from '@serverless-ai/kernel'
import { systemClock } from '@serverless-ai/kernel/system'
import { createGrpcTransport, openTlsFiles } from '@serverless-ai/rpc'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ControlPlaneProcess, openPlatform, serviceConfig, systemPorts } from './index.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sai-hosting-tls-'))
  await initAuthority({ directory, days: 10, nowMs: Date.now() })
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function filesOf(kind: 'service' | 'node', name: string) {
  const identity = { trustDomain: 'cell.test', kind, name }
  await issue({ directory, identity, days: 5, nowMs: Date.now() })
  const base = join(directory, fileBaseOf(identity))
  return { ca: join(directory, 'ca.crt'), cert: `${base}.crt`, key: `${base}.key` }
}

const flags = (files: { ca: string; cert: string; key: string }) =>
  Object.entries(files).flatMap(([name, path]) => [`--tls.${name}`, path])

it('a process serves others by their certificates, and users by their tokens', async () => {
  const argv = flags(await filesOf('service', 'scheduler'))
  const config = loadConfig(serviceConfig, { argv: [...argv, '--data', join(directory, 'data')] })
  const ports = systemPorts('test', 'silent')
  const base = { config, ports, tenants: [], nodes: ['n1'], peers: {}, required: [] }
  const { options, credentials } = await openPlatform({ ...base, tls: config.tls })
  // Another address than the loopback needs no --insecure-dev.
  const process = new ControlPlaneProcess({ ...options, listen: '0.0.0.0:0' })
  const bound = await process.kit.server.listen('0.0.0.0:0')
  const address = bound.replace('0.0.0.0', '127.0.0.1')
  const reasonOf = async (who: 'service' | 'node', name: string, token: string) => {
    const tls = await openTlsFiles({ files: await filesOf(who, name), ...ports })
    const transport = createGrpcTransport({ clock: systemClock, tls })
    const feed = transport.client(EventFeedServiceService, { address, token })
    const request = { service: 'scheduler', partition: 0, types: [], pageSize: 1, pageToken: '' }
    const answer = await feed.getFeedSnapshot(request).catch((error: RpcError) => error.reason)
    await transport.close()
    tls.close()
    return answer
  }
  expect(await reasonOf('node', 'n1', credentials.service)).toBe('PERMISSION_DENIED')
  expect(await reasonOf('service', 'mediator', '')).not.toBe('PERMISSION_DENIED')
  expect(options.authenticate(credentials.service)).toBeUndefined()
  expect(options.authenticate(credentials.nodes['n1'] ?? '')).toBeUndefined()
  expect(options.authenticate(credentials.admin)).toMatchObject({ roles: ['admin'] })
  const own = process.kit.transport.client(AdminServiceService, { address })
  const raise = { service: 'mediator', level: 1, without: [], validateOnly: true }
  expect(await own.raiseFeatureLevel(raise).catch((error) => error.reason)).toBe(
    'PERMISSION_DENIED',
  )
  await process.stop()
})

it('half of the TLS files is an error that names the rest', () => {
  const load = (...argv: string[]) => loadConfig(serviceConfig, { argv })
  expect(() => load('--tls.cert', 'x.crt')).toThrow(/tls\.ca[\s\S]*tls\.key/)
  expect(() => load('--tls.require-client-certificate')).toThrow(/tls\.cert/)
  expect(load().tls).toEqual({ requireClientCertificate: false })
})

it('does not start with files that do not fit', async () => {
  const files = { ...(await filesOf('service', 'scheduler')), key: join(directory, 'ca.key') }
  const config = loadConfig(serviceConfig, { argv: flags(files) })
  const ports = systemPorts('test', 'silent')
  const base = { config, ports, tenants: [], nodes: [], peers: {}, required: [] }
  await expect(openPlatform({ ...base, tls: config.tls })).rejects.toMatchObject({
    reason: 'TLS_MATERIAL_INVALID',
  })
})
