import { execFile } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { readdirSync, statSync, utimesSync } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DownloadWorkspaceResponse } from '@serverless-ai/contracts/job/v1/job'
import { type Clock, RpcError, type Transport } from '@serverless-ai/kernel'
import { messageOf } from '../../core/errors.ts'
import type { WorkspaceSource } from '../agent/workspace-source.ts'
import type { PrepareProblem } from '../ipc.ts'
import { ArchiveError, EXIT_BAD_ARCHIVE } from './archive-error.ts'

/** Largest archive, bytes: the limit of the workspace service. */
const ARCHIVE_MAX_BYTES = 100 * 1024 * 1024
/** Archives kept for further ranks and generations. */
const KEEP = 16
/** Longest time for a download, and for unpacking, ms. */
const TIMEOUT_MS = 300_000

/** Where workspaces come from and go to. */
export interface WorkspacesOptions {
  readonly transport: Transport
  readonly address: string
  readonly token: string
  /** Cache of archives. */
  readonly directory: string
  readonly clock: Clock
  /** Built main that unpacks. */
  readonly unpackMain: string
}

/** Workspaces of tasks: downloaded once, verified, unpacked as the task's user. */
export class Workspaces implements WorkspaceSource {
  private readonly options: WorkspacesOptions
  private readonly downloads = new Map<string, Promise<string>>()

  constructor(options: WorkspacesOptions) {
    this.options = options
  }

  async prepare(
    workspace: string,
    directory: string,
    uid: number | null,
  ): Promise<PrepareProblem | undefined> {
    try {
      const digest = /^sha256:([0-9a-f]{64})$/.exec(workspace)?.[1]
      if (digest === undefined) throw new ArchiveError('it is not named sha256:…')
      await this.unpack(await this.fetch(workspace, digest), directory, uid)
      return undefined
    } catch (error) {
      const code = error instanceof RpcError ? `${error.reason}: ` : ''
      const message = `workspace ${workspace}: ${code}${messageOf(error)}`
      // No node can use a bad archive: trying again on another one would only cost.
      return { cause: error instanceof ArchiveError ? 'START_FAILED' : 'PREPARE_FAILED', message }
    }
  }

  private fetch(workspace: string, digest: string): Promise<string> {
    const running = this.downloads.get(digest)
    if (running !== undefined) return running
    const download = this.download(workspace, digest).finally(() => this.downloads.delete(digest))
    this.downloads.set(digest, download)
    return download
  }

  private async download(workspace: string, digest: string): Promise<string> {
    const path = join(this.options.directory, `${digest}.tgz`)
    const nowS = this.options.clock.wallMs() / 1000
    try {
      // Its age is that of its last use.
      utimesSync(path, nowS, nowS)
      return path
    } catch {
      // Not there yet.
    }
    const { transport, address, token } = this.options
    // Loaded when the first workspace comes: an idle agent is small.
    const { WorkspaceServiceService } = await import('@serverless-ai/contracts/job/v1/job')
    const client = transport.client(WorkspaceServiceService, { address, token })
    const call = client.downloadWorkspace({ workspace }, { timeoutMs: TIMEOUT_MS })
    const temporary = `${path}.${process.pid}.tmp`
    const file = await open(temporary, 'w', 0o600)
    try {
      const found = await copy(call, file, createHash('sha256'))
      if (found !== digest) throw new Error(`its content has the digest sha256:${found}`)
      await file.sync()
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await this.prune()
    return path
  }

  private async prune(): Promise<void> {
    const { directory } = this.options
    const archives = readdirSync(directory).map((name) => {
      const path = join(directory, name)
      return { path, usedMs: statSync(path).mtimeMs }
    })
    archives.sort((a, b) => b.usedMs - a.usedMs)
    for (const { path } of archives.slice(KEEP)) await rm(path, { force: true })
  }

  private unpack(archive: string, directory: string, uid: number | null): Promise<void> {
    const args = [this.options.unpackMain, archive, directory, uid === null ? '-' : String(uid)]
    return new Promise((resolve, reject) => {
      execFile(process.execPath, args, { timeout: TIMEOUT_MS }, (error, _stdout, stderr) => {
        if (error === null) resolve()
        const message = stderr.trim() || error?.message
        reject(error?.code === EXIT_BAD_ARCHIVE ? new ArchiveError(message) : new Error(message))
      })
    })
  }
}

async function copy(
  pieces: AsyncIterable<DownloadWorkspaceResponse>,
  file: FileHandle,
  hash: Hash,
): Promise<string> {
  let bytes = 0
  for await (const { data } of pieces) {
    bytes += data.length
    if (bytes > ARCHIVE_MAX_BYTES) throw new Error(`it is larger than ${ARCHIVE_MAX_BYTES} bytes`)
    hash.update(data)
    await file.write(data)
  }
  return hash.digest('hex')
}
