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

/** A process that has not answered by then is silent, ms. */
const ANSWER_TIMEOUT_MS = 5_000

/** A process that is away, or hangs. */
const isSilent = (error: unknown): error is RpcError =>
  error instanceof RpcError && (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED')

/** What one process says of its partitions, or why it says nothing. */
async function askOne(
  io: Io,
  connection: Connection,
): Promise<{ readonly partitions: readonly SeenPartition[] } | { readonly problem: RpcError }> {
  const { address } = connection
  try {
    const { replica, partitions } = await withPlatform(io, connection, ({ admin }) =>
      admin.getStatus({ withDigest: false }, { timeoutMs: ANSWER_TIMEOUT_MS }),
    )
    return { partitions: partitions.map((partition) => ({ address, replica, partition })) }
  } catch (error) {
    if (isSilent(error)) return { problem: error }
    throw error
  }
}

/**
 * Asks each address of the connection for itself, all at once: no call follows a leader. Who does
 * not answer in time is silent. Throws what went wrong when nobody answers.
 */
export async function askEveryone(io: Io, connection: Connection): Promise<Seen> {
  const addresses = addressesOf(connection.address)
  const told = await Promise.all(
    addresses.map(async (address) => ({
      address,
      answer: await askOne(io, { ...connection, address }),
    })),
  )
  const partitions = told.flatMap(({ answer }) => ('problem' in answer ? [] : answer.partitions))
  const failed = told.flatMap(({ address, answer }) =>
    'problem' in answer ? [{ address, problem: answer.problem }] : [],
  )
  if (partitions.length === 0 && failed[0] !== undefined) throw failed[0].problem
  const silent = failed.map(({ address, problem }) => ({ address, reason: problem.reason }))
  return { partitions, silent }
}

const silenceText = ({ silent }: Seen): string =>
  silent.map(({ address, reason }) => `${address} (${reason})`).join(', ')

/** Names of the services that were seen, each once. */
const servicesOf = ({ partitions }: Seen): readonly string[] => [
  ...new Set(partitions.map(({ partition }) => partition.service)),
]

/**
 * All services of the platform, for what must leave none out: a silent process may serve one that
 * nobody else does.
 * @throws CliError `PROCESSES_SILENT`
 */
export function allServicesOf(seen: Seen): readonly string[] {
  if (seen.silent.length === 0) return servicesOf(seen)
  throw new CliError(
    'PROCESSES_SILENT',
    `no answer from ${silenceText(seen)}: nothing is done, as a service might be left out\n` +
      '  start what does not answer (`sai status` says more) and repeat the command;\n' +
      '  --service NAME takes one that answers; what is gone for good is left out of\n' +
      '  --address HOST:PORT,…, and its replicas by --without',
    EXIT.unreachable,
  )
}

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
    if (seen.silent.length === 0) {
      throw new CliError('SERVICE_NOT_SEEN', message, EXIT.notFound)
    }
    const silence = `  no answer from ${silenceText(seen)}, which may serve it: start that again`
    throw new CliError('SERVICE_NOT_SEEN', `${message}\n${silence}`, EXIT.unreachable)
  }
  return withPlatform(io, { ...connection, address: one.address }, work)
}
