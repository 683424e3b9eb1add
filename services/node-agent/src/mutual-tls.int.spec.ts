import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileBaseOf, initAuthority, issue } from '@serverless-ai/certs'
import {
  systemClock as clock,
  systemDisk as disk,
  systemTimers as timers,
} from '@serverless-ai/kernel/system'
import { openTlsFiles } from '@serverless-ai/rpc'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { stopLocalNode } from './app/local/local-nodes.ts'
import { buildPackage, makeDataDir, removeDataDir, startNode } from './testing/harness.ts'
import { ScriptedPool } from './testing/scripted-pool.ts'

const logger = { log: () => undefined, child: () => logger }

beforeAll(buildPackage)

let certs = ''
let dataDir = ''
beforeEach(async () => {
  certs = await mkdtemp(join(tmpdir(), 'sai-agent-tls-'))
  dataDir = makeDataDir()
  await initAuthority({ directory: certs, days: 10, nowMs: Date.now() })
})
afterEach(async () => {
  await stopLocalNode({ dataDir, nodeId: 'n1' })
  removeDataDir(dataDir)
  await rm(certs, { recursive: true, force: true })
})

async function filesOf(kind: 'service' | 'node', name: string) {
  const identity = { trustDomain: 'cell.test', kind, name }
  await issue({ directory: certs, identity, days: 5, nowMs: Date.now() })
  const base = join(certs, fileBaseOf(identity))
  return { ca: join(certs, 'ca.crt'), cert: `${base}.crt`, key: `${base}.key` }
}

it('an agent proves its node id by its certificate, without a token', async () => {
  const files = await filesOf('service', 'pool-manager')
  const source = await openTlsFiles({ files, clock, timers, disk, logger })
  const pool = new ScriptedPool({ source, requireCertificate: true })
  await pool.listen()
  const { ca: tlsCa, cert: tlsCert, key: tlsKey } = await filesOf('node', 'n1')
  await startNode(dataDir, pool, { token: '', tlsCa, tlsCert, tlsKey })
  await pool.until('it said hello', () => pool.hellos.length > 0)
  expect(pool.callers).toEqual(['node:n1'])
  expect(pool.hellos[0]).toMatchObject({ nodeId: 'n1' })
  source.close()
  await pool.close()
})
