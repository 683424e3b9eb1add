import type {
  DownloadWorkspaceRequest,
  DownloadWorkspaceResponse,
  UploadWorkspaceRequest,
  UploadWorkspaceResponse,
} from '@serverless-ai/contracts/job/v1/job'
import type { CallContext } from '@serverless-ai/kernel'
import { mediatorError } from '../adapters/errors.ts'
import { isFinished } from '../core/model.ts'
import { workspacesOf } from '../core/revisions.ts'
import type { MediatorRuntime } from './definition.ts'

/** Largest archive, bytes. */
export const WORKSPACE_MAX_BYTES = 100 * 1024 * 1024
const UPLOADS_MAX = 8
const DIGEST = /^sha256:[0-9a-f]{64}$/

/** An archive on its way into the store. */
export interface Incoming {
  write(bytes: Uint8Array): Promise<void>
  /** Digest of what was written, `sha256:…`. */
  digest(): string
  /** Keeps it under its digest, as the tenant's. */
  keep(tenant: string): Promise<void>
  /** Drops it; harmless after `keep`. */
  drop(): Promise<void>
}

/** Where archives live, by digest. A tenant has those that it uploaded itself. */
export interface BlobStore {
  has(tenant: string, workspace: string): Promise<boolean>
  receive(): Promise<Incoming>
  /** Pieces of at most 256 KiB; undefined when there is none. */
  open(workspace: string): Promise<AsyncIterable<Buffer> | undefined>
  /** Removes the oldest ones not in `inUse` until `bytes` more fit; false when they never do. */
  makeRoom(bytes: number, inUse: ReadonlySet<string>): Promise<boolean>
  /** Most it may hold, MiB. */
  readonly maxTotalMib: number
}

/** Takes and hands out the directories that jobs run in. */
export class WorkspaceHandlers {
  readonly #runtime: Pick<MediatorRuntime, 'read'>
  readonly #store: BlobStore
  #uploads = 0

  constructor(init: { runtime: Pick<MediatorRuntime, 'read'>; store: BlobStore }) {
    this.#runtime = init.runtime
    this.#store = init.store
  }

  async upload(
    requests: AsyncIterable<UploadWorkspaceRequest>,
    context: CallContext,
  ): Promise<UploadWorkspaceResponse> {
    if (this.#uploads >= UPLOADS_MAX) throw mediatorError('TOO_MANY_UPLOADS', { max: UPLOADS_MAX })
    this.#uploads += 1
    try {
      return await this.#receive(requests, context)
    } finally {
      this.#uploads -= 1
    }
  }

  async #receive(
    requests: AsyncIterable<UploadWorkspaceRequest>,
    { principal, signal }: CallContext,
  ): Promise<UploadWorkspaceResponse> {
    const incoming = await this.#store.receive()
    let announced = ''
    let bytes = 0
    try {
      for await (const { data, digest } of requests) {
        signal.throwIfAborted()
        if (announced === '') {
          if (!DIGEST.test(digest)) throw mediatorError('WORKSPACE_INVALID')
          announced = digest
        }
        bytes += data.length
        if (bytes > WORKSPACE_MAX_BYTES) {
          throw mediatorError('WORKSPACE_TOO_LARGE', { max: WORKSPACE_MAX_BYTES })
        }
        await incoming.write(data)
      }
      if (announced === '') throw mediatorError('WORKSPACE_INVALID')
      const got = incoming.digest()
      if (got !== announced) throw mediatorError('DIGEST_MISMATCH', { wanted: announced, got })
      if (!(await this.#store.makeRoom(bytes, await this.#inUse()))) {
        throw mediatorError('WORKSPACE_STORE_FULL', { max: this.#store.maxTotalMib })
      }
      await incoming.keep(principal.tenant)
      return { workspace: announced, bytes: BigInt(bytes) }
    } finally {
      await incoming.drop()
    }
  }

  /** Archives that a job may still be started with. */
  async #inUse(): Promise<ReadonlySet<string>> {
    const { value } = await this.#runtime.read((state) => {
      const open = [...state.jobs.values()].filter((job) => !isFinished(job.state))
      return new Set(open.flatMap(workspacesOf))
    })
    return value
  }

  async *download(
    { workspace }: DownloadWorkspaceRequest,
    { signal }: CallContext,
  ): AsyncGenerator<DownloadWorkspaceResponse> {
    const pieces = DIGEST.test(workspace) ? await this.#store.open(workspace) : undefined
    if (pieces === undefined) throw mediatorError('WORKSPACE_NOT_FOUND', { workspace })
    for await (const data of pieces) {
      signal.throwIfAborted()
      yield { data }
    }
  }

  /** True when the tenant uploaded it. */
  readonly has = (tenant: string, workspace: string): Promise<boolean> =>
    this.#store.has(tenant, workspace)
}
