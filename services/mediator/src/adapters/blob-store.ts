import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Randomness } from '@serverless-ai/kernel'
import type { BlobStore, Incoming } from '../app/workspaces.ts'
import { mediatorError } from './errors.ts'

const PIECE_BYTES = 256 * 1024
/** Owner of what an operator without a tenant uploads. No tenant has this name. */
const OPERATOR = '_operator'

interface Layout {
  readonly blobs: string
  readonly owners: string
  readonly incoming: string
}

const hexOf = (workspace: string): string => workspace.replace('sha256:', '')
const ownerName = (tenant: string): string => encodeURIComponent(tenant === '' ? OPERATOR : tenant)

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** Makes a full disk a refusal that says so. */
async function onDisk<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isCode(error, 'ENOSPC') && !isCode(error, 'EDQUOT')) throw error
    throw mediatorError('WORKSPACE_DISK_FULL', { directory })
  }
}

async function receive(layout: Layout, name: string): Promise<Incoming> {
  const path = join(layout.incoming, name)
  const hash = createHash('sha256')
  const file = await onDisk(layout.incoming, () => open(path, 'wx', 0o600))
  let hex = ''
  let isOpen = true
  const close = async () => {
    if (!isOpen) return
    isOpen = false
    await file.close()
  }
  return {
    async write(bytes) {
      hash.update(bytes)
      await onDisk(layout.incoming, () => file.writeFile(bytes))
    },
    digest() {
      hex ||= hash.digest('hex')
      return `sha256:${hex}`
    },
    async keep(tenant) {
      await onDisk(layout.blobs, async () => {
        await file.sync()
        await close()
        await rename(path, join(layout.blobs, hex))
        const owner = join(layout.owners, ownerName(tenant))
        await mkdir(owner, { recursive: true, mode: 0o700 })
        await writeFile(join(owner, hex), '')
      })
    },
    async drop() {
      await close()
      await rm(path, { force: true })
    },
  }
}

async function* pieces(path: string): AsyncGenerator<Buffer> {
  const stream = createReadStream(path, { highWaterMark: PIECE_BYTES })
  for await (const piece of stream) {
    if (Buffer.isBuffer(piece)) yield piece
  }
}

async function makeRoom(
  layout: Layout,
  init: { bytes: number; inUse: ReadonlySet<string>; maxBytes: number },
): Promise<boolean> {
  const names = await readdir(layout.blobs)
  const found = await Promise.all(
    names.map(async (name) => {
      // Another replica may have removed it meanwhile.
      const info = await stat(join(layout.blobs, name)).catch(() => undefined)
      return info === undefined ? [] : [{ name, info }]
    }),
  )
  const blobs = found.flat()
  let total = init.bytes + blobs.reduce((sum, { info }) => sum + info.size, 0)
  blobs.sort((a, b) => a.info.mtimeMs - b.info.mtimeMs)
  for (const { name, info } of blobs) {
    if (total <= init.maxBytes) break
    if (init.inUse.has(`sha256:${name}`)) continue
    await rm(join(layout.blobs, name), { force: true })
    total -= info.size
  }
  return total <= init.maxBytes
}

/**
 * Archives as files named by their digest: written to a temporary name, synced, renamed. Replicas
 * may share the directory. What a crash left half written is removed when its replica opens the
 * store.
 */
export async function openBlobStore(init: {
  readonly directory: string
  readonly maxTotalMib: number
  readonly randomness: Randomness
  /** Name of this replica. */
  readonly replica: string
}): Promise<BlobStore> {
  const { directory, maxTotalMib, randomness, replica } = init
  const layout: Layout = {
    blobs: join(directory, 'blobs'),
    owners: join(directory, 'owners'),
    // Another replica's uploads may be under way.
    incoming: join(directory, 'incoming', encodeURIComponent(replica)),
  }
  await rm(layout.incoming, { recursive: true, force: true })
  for (const path of Object.values(layout)) await mkdir(path, { recursive: true, mode: 0o700 })
  const pathOf = (workspace: string) => join(layout.blobs, hexOf(workspace))
  return {
    maxTotalMib,
    has: async (tenant, workspace) =>
      (await exists(pathOf(workspace))) &&
      (await exists(join(layout.owners, ownerName(tenant), hexOf(workspace)))),
    receive: () => receive(layout, Buffer.from(randomness.bytes(16)).toString('hex')),
    open: async (workspace) => {
      const path = pathOf(workspace)
      if (!(await exists(path))) return undefined
      return pieces(path)
    },
    makeRoom: (bytes, inUse) =>
      makeRoom(layout, { bytes, inUse, maxBytes: maxTotalMib * 1024 * 1024 }),
  }
}
