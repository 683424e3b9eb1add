import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { loadConfig } from './load.ts'
import { snapshotBucketSettings, snapshotsConfig } from './snapshots.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sai-snapshots-config-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const load = (...argv: string[]) =>
  loadConfig(z.object({ snapshots: snapshotsConfig.prefault({}) }), { argv }).snapshots
const s3 = (...argv: string[]) =>
  load('--snapshots.kind', 's3', '--snapshots.s3.bucket', 'snaps', ...argv)

describe('configuration of snapshots', () => {
  it('is the directory by default', () => {
    expect(load().kind).toBe('directory')
    expect(snapshotBucketSettings(load())).toBeUndefined()
  })

  it('is none where none are wanted', () => {
    expect(load('--snapshots.kind', 'none').kind).toBe('none')
    expect(snapshotBucketSettings(load('--snapshots.kind', 'none'))).toBeUndefined()
  })

  it('names a bucket of AWS', () => {
    expect(snapshotBucketSettings(s3('--snapshots.s3.region', 'eu-central-1'))).toEqual({
      bucket: 'snaps',
      region: 'eu-central-1',
      prefix: '',
      pathStyle: false,
      requestTimeoutMs: 10_000,
      totalTimeoutMs: 30_000,
    })
  })

  it('names a bucket of another store, its authorities read', () => {
    const ca = join(directory, 'ca.crt')
    writeFileSync(ca, 'CA\n')
    const settings = snapshotBucketSettings(
      s3(
        ...['--snapshots.s3.endpoint', 'https://minio.test:9000', '--snapshots.s3.path-style'],
        ...['--snapshots.s3.prefix', 'cells/a/', '--snapshots.s3.ca', ca],
        ...['--snapshots.s3.credentials-file', '/run/keys', '--snapshots.s3.profile', 'sai'],
      ),
    )
    expect(settings).toMatchObject({
      endpoint: 'https://minio.test:9000',
      pathStyle: true,
      prefix: 'cells/a/',
      ca: 'CA\n',
      credentialsFile: '/run/keys',
      profile: 'sai',
    })
  })

  it.each([
    [['--snapshots.kind', 's3'], /bucket[\s\S]*need a bucket/],
    [['--snapshots.kind', 'ftp'], /snapshots\.kind/],
    [['--snapshots.s3.bucket', 'Not A Bucket'], /name of a bucket/],
    [['--snapshots.s3.endpoint', 'minio:9000'], /endpoint/],
    [['--snapshots.s3.endpoint', 'http://me:secret@minio:9000'], /must not hold credentials/],
    [['--snapshots.s3.prefix', '/cells'], /end with \//],
    [['--snapshots.s3.secret-access-key', 'x'], /CONFIG_UNKNOWN_KEY/],
  ])('refuses %j', (argv, message) => {
    expect(() => load(...argv)).toThrow(message)
  })

  it('names a file that cannot be read', () => {
    const config = s3('--snapshots.s3.ca', join(directory, 'gone.crt'))
    expect(() => snapshotBucketSettings(config)).toThrow(/CONFIG_FILE_UNREADABLE.*gone\.crt/)
  })
})
