import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UploadWorkspaceRequest } from '@serverless-ai/contracts/job/v1/job'
import type { CallContext } from '@serverless-ai/kernel'
import { systemRandomness } from '@serverless-ai/kernel/system'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MediatorRuntime } from '../app/definition.ts'
import { WORKSPACE_MAX_BYTES, WorkspaceHandlers } from '../app/workspaces.ts'
import { mediatorDecider } from '../core/decider.ts'
import type { MediatorState } from '../core/model.ts'
import { jobSpec } from '../testing/samples.ts'
import { openBlobStore } from './blob-store.ts'

const MIB = 1024 * 1024
const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sai-blobs-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

const openStore = (maxTotalMib = 1024, replica = 'r1') =>
  openBlobStore({ directory: root, maxTotalMib, randomness: systemRandomness, replica })

/** A state with one open job that uses the workspace. */
function using(workspace: string): MediatorState {
  return mediatorDecider.evolve(
    mediatorDecider.initial(),
    {
      type: 'JobSubmitted',
      jobId: 'j-0-1',
      tenant: 'a',
      submittedBy: 'x',
      requestId: '',
      spec: jobSpec({ workspace }),
    },
    1,
  )
}

async function handlers(options: { maxTotalMib?: number; state?: MediatorState } = {}) {
  const state = options.state ?? mediatorDecider.initial()
  const at = { position: 1, token: '', atMs: 1 }
  const runtime: Pick<MediatorRuntime, 'read'> = {
    read: async (query) => ({ value: query(state, at), token: '' }),
  }
  return new WorkspaceHandlers({ runtime, store: await openStore(options.maxTotalMib) })
}

const context = (tenant: string): CallContext => ({
  principal: { subject: `token:${tenant}`, tenant, roles: ['tenant'] },
  signal: new AbortController().signal,
  timeoutMs: undefined,
  metadata: new Map(),
})

async function* pieces(bytes: Buffer, digest = digestOf(bytes)) {
  for (let from = 0; from < bytes.length; from += 100_000) {
    const data = bytes.subarray(from, from + 100_000)
    yield UploadWorkspaceRequest.fromPartial({ data, digest: from === 0 ? digest : '' })
  }
}

async function download(from: WorkspaceHandlers, workspace: string): Promise<Buffer> {
  const got: Buffer[] = []
  for await (const { data } of from.download({ workspace }, context(''))) got.push(data)
  return Buffer.concat(got)
}

describe('workspaces', () => {
  test('come back as they went in, also after a restart', async () => {
    const bytes = Buffer.from(systemRandomness.bytes(3 * MIB))
    const { workspace } = await (await handlers()).upload(pieces(bytes), context('a'))
    expect(workspace).toBe(digestOf(bytes))
    const again = await handlers()
    expect((await download(again, workspace)).equals(bytes)).toBe(true)
    expect(await again.has('a', workspace)).toBe(true)
    expect(await again.has('b', workspace)).toBe(false)
  })

  test('damaged on the way: refused, and nothing is kept', async () => {
    const bytes = Buffer.alloc(300_000, 'x')
    const wrong = (await handlers()).upload(pieces(bytes, `sha256:${'0'.repeat(64)}`), context('a'))
    await expect(wrong).rejects.toMatchObject({ code: 'DATA_LOSS', reason: 'DIGEST_MISMATCH' })
    expect(await readdir(join(root, 'blobs'))).toEqual([])
    expect(await readdir(join(root, 'incoming', 'r1'))).toEqual([])
  })

  test('too large: refused while it comes', async () => {
    let sent = 0
    async function* endless() {
      for (;;) {
        sent += MIB
        yield UploadWorkspaceRequest.fromPartial({
          data: Buffer.alloc(MIB),
          digest: `sha256:${'0'.repeat(64)}`,
        })
      }
    }
    const refused = (await handlers()).upload(endless(), context('a'))
    await expect(refused).rejects.toMatchObject({ reason: 'WORKSPACE_TOO_LARGE' })
    expect(sent).toBe(WORKSPACE_MAX_BYTES + MIB)
  })

  test('without a digest: refused', async () => {
    const bad = (await handlers()).upload(pieces(Buffer.from('x'), '../../etc'), context('a'))
    await expect(bad).rejects.toMatchObject({ reason: 'WORKSPACE_INVALID' })
  })

  test('a path is no workspace', async () => {
    await expect(download(await handlers(), 'sha256:../../owners')).rejects.toMatchObject({
      reason: 'WORKSPACE_NOT_FOUND',
    })
  })

  test('when the store is full the oldest unused one goes; used ones stay', async () => {
    const [one, two, three] = ['1', '2', '3'].map((fill) => Buffer.alloc(100 * MIB, fill))
    if (!one || !two || !three) throw new Error('three archives')
    const kept = await handlers({ maxTotalMib: 210, state: using(digestOf(one)) })
    for (const bytes of [one, two, three]) await kept.upload(pieces(bytes), context('a'))
    expect(await kept.has('a', digestOf(one))).toBe(true)
    expect(await kept.has('a', digestOf(two))).toBe(false)
    expect(await kept.has('a', digestOf(three))).toBe(true)
    const full = await handlers({ maxTotalMib: 128, state: using(digestOf(one)) })
    await expect(full.upload(pieces(two), context('a'))).rejects.toMatchObject({
      reason: 'WORKSPACE_STORE_FULL',
    })
  })

  test('what a crash left half written goes at the next start', async () => {
    await openStore()
    await writeFile(join(root, 'incoming', 'r1', 'half'), 'half')
    await openStore(1024, 'r2')
    expect(await readdir(join(root, 'incoming', 'r1'))).toEqual(['half'])
    await openStore()
    expect(await readdir(join(root, 'incoming', 'r1'))).toEqual([])
  })
})
