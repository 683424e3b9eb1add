import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import { expect, it, vi } from 'vitest'
import { ServerlessAiTwin } from './twin.ts'

const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

it('runs what is named, with the given token, in memory, without snapshots', async () => {
  const token = 'a-token-of-the-twin-suite'
  const twin = new ServerlessAiTwin()
    .withNodes(0)
    .withAuthToken('admin', token)
    .withServices(['resource-profiler'])
    .withReplayAlways()
    .withTmpfs()
    .withClock('real')
  await using platform = await twin.start()
  expect(platform.dataDir.startsWith(base)).toBe(true)
  expect(platform.getToken('admin')).toBe(token)
  const file = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
  expect(file).toMatchObject({ admin: token, tenants: { 'team-a': platform.getToken('team-a') } })
  await platform.createQueue()
  const { admin } = platform.client('admin')
  const { partitions } = await admin.getStatus({ withDigest: false })
  const wanted = SERVICE_NAMES.filter((name) => name !== 'sla-monitor' && name !== 'autoscaler')
  expect(partitions.map(({ service }) => service).sort()).toEqual([...wanted].sort())
  expect(() => platform.getKafkaBootstrapServers()).toThrow('the log is embedded')
  await platform.stop()
  expect(existsSync(platform.dataDir)).toBe(false)
})

it('leaves nothing behind when it cannot start', async () => {
  const home = mkdtempSync(join(tmpdir(), 'sai-twin-spec-'))
  vi.stubEnv('TMPDIR', home)
  try {
    const twin = new ServerlessAiTwin().withConfig({ leaseMs: 'soon' })
    await expect(twin.start()).rejects.toThrow('leaseMs')
    expect(readdirSync(home)).toEqual([])
  } finally {
    vi.unstubAllEnvs()
    rmSync(home, { recursive: true })
  }
})
