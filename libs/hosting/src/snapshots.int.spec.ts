import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '@serverless-ai/config'
import { testPorts } from '@serverless-ai/kernel/testing'
import { expect, it } from 'vitest'
import { platformConfig } from './config.ts'
import { systemPorts } from './platform.ts'
import { openSnapshots } from './snapshots.ts'

const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const configured = (...argv: string[]) => loadConfig(platformConfig, { argv }).snapshots

it('keeps snapshots below the data directory by default', async () => {
  const ports = testPorts({ seed: 1 })
  const store = await openSnapshots({ snapshots: configured(), dataDir: '/data', ports })
  const info = await store.put(address, {
    position: 3,
    schemaVersion: 1,
    content: new Uint8Array(5),
  })
  const files = [...ports.disk.files.keys()]
  expect(files).toContain(`/data/snapshots/${address.topic}/0/${info.name}/manifest.json`)
})

it('keeps none where none are wanted', async () => {
  const ports = testPorts({ seed: 1 })
  const none = configured('--snapshots.kind', 'none')
  const store = await openSnapshots({ snapshots: none, dataDir: '/data', ports })
  const put = store.put(address, { position: 3, schemaVersion: 1, content: new Uint8Array(5) })
  await expect(put).rejects.toThrow('snapshots.kind is none')
  expect(await store.list(address)).toEqual([])
  expect(ports.disk.files.size).toBe(0)
})

it('says at the start that the bucket cannot be used, with the code and the mend', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sai-snapshots-'))
  const snapshots = configured(
    ...['--snapshots.kind', 's3', '--snapshots.s3.bucket', 'snaps'],
    ...['--snapshots.s3.endpoint', 'http://127.0.0.1:1', '--snapshots.s3.path-style'],
    ...['--snapshots.s3.credentials-file', join(dataDir, 'gone')],
  )
  const opening = openSnapshots({ snapshots, dataDir, ports: systemPorts('test', 'silent') })
  await expect(opening).rejects.toThrow(
    /^SNAPSHOTS_NO_CREDENTIALS: bucket snaps at http:\/\/127\.0\.0\.1:1: .*credentials file/s,
  )
  await expect(opening).rejects.toMatchObject({ name: 'LogStartError' })
  rmSync(dataDir, { recursive: true })
})
