/** Buckets of their own for each test, on the store that the vitest project `s3` has started. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject, test } from 'vitest'
import type { S3Target } from '../s3/s3-driver.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** `http://host:port`; empty where no store can be had. */
    s3Endpoint: string
  }
}

/** A bucket that only one test uses. */
export interface FreshBucket extends AsyncDisposable {
  readonly target: S3Target
}

/** Makes buckets; undefined where there is no store: then one skipped test says so. */
export function s3Store(): (() => Promise<FreshBucket>) | undefined {
  const endpoint = inject('s3Endpoint')
  if (endpoint !== '') return () => freshBucket(endpoint)
  test.skip('left out: no S3 store here')
  return undefined
}

async function freshBucket(endpoint: string): Promise<FreshBucket> {
  const bucket = `b${randomBytes(8).toString('hex')}`
  // The test's store takes unsigned requests too.
  const made = await fetch(`${endpoint}/${bucket}`, { method: 'PUT' })
  if (!made.ok) throw new Error(`bucket ${bucket} cannot be made: ${made.status}`)
  const directory = mkdtempSync(join(tmpdir(), 'sai-s3-'))
  const credentialsFile = join(directory, 'credentials')
  const keys = 'aws_access_key_id = test\naws_secret_access_key = test\n'
  writeFileSync(credentialsFile, `[default]\n${keys}`)
  const where = { bucket, region: 'us-east-1', endpoint, pathStyle: true }
  return {
    target: { ...where, credentialsFile, connectTimeoutMs: 2000 },
    async [Symbol.asyncDispose]() {
      rmSync(directory, { recursive: true, force: true })
      await fetch(`${endpoint}/${bucket}`, { method: 'DELETE' })
    },
  }
}
