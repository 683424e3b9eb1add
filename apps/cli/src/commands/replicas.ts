import type { PlatformClient } from '@serverless-ai/client'
import type { PartitionStatus } from '@serverless-ai/contracts/admin/v1/admin'
import { RpcError } from '@serverless-ai/kernel'
import { addressesOf } from '@serverless-ai/rpc'
import { type Connection, withPlatform } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import type { Io } from '../io.ts'

/** A partition as one process sees it. */
export interface SeenPartition {
  readonly address: string
  readonly replica: string
  readonly partition: PartitionStatus
}

/** What all processes of a platform say of their partitions. */
export interface Seen {
  readonly partitions: readonly SeenPartition[]
  /** Processes that did not answer. */
  readonly silent: readonly { readonly address: string; readonly reason: string }[]
}

/**
 * Asks each address of the connection for itself: no call follows a leader. Throws what went wrong
 * when nobody answers.
 */
export async function askEveryone(io: Io, connection: Connection): Promise<Seen> {
  const partitions: SeenPartition[] = []
  const silent: { address: string; reason: string }[] = []
  let problem: unknown
  for (const address of addressesOf(connection.address)) {
    try {
      const status = await withPlatform(io, { ...connection, address }, ({ admin }) =>
        admin.getStatus({ withDigest: false }),
      )
      const { replica } = status
      for (const partition of status.partitions) partitions.push({ address, replica, partition })
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== 'UNAVAILABLE') throw error
      problem = error
      silent.push({ address, reason: error.reason })
    }
  }
  if (partitions.length === 0 && problem !== undefined) throw problem
  return { partitions, silent }
}

/** Names of the services that were seen, each once. */
export const servicesOf = ({ partitions }: Seen): readonly string[] => [
  ...new Set(partitions.map(({ partition }) => partition.service)),
]

/**
 * Calls a process that serves the service, the leader where one is known.
 * @throws CliError `SERVICE_NOT_SEEN`
 */
export function withService<T>(
  io: Io,
  connection: Connection,
  at: { readonly seen: Seen; readonly service: string },
  work: (platform: PlatformClient) => Promise<T>,
): Promise<T> {
  const { seen, service } = at
  const serving = seen.partitions.filter(({ partition }) => partition.service === service)
  const one = serving.find(({ partition }) => partition.role === 'Leading') ?? serving[0]
  if (one === undefined) {
    const known = servicesOf(seen).join(', ')
    const message = `nobody here serves ${service}; there are ${known}`
    throw new CliError('SERVICE_NOT_SEEN', message, EXIT.notFound)
  }
  return withPlatform(io, { ...connection, address: one.address }, work)
}
