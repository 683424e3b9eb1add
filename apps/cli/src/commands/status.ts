import { GetStatusResponse, type PartitionStatus } from '@serverless-ai/contracts/admin/v1/admin'
import type { Command } from 'commander'
import { type Connection, type Globals, resolveConnection, withPlatform } from '../context.ts'
import { EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { count, duration, table } from '../output/text.ts'
import { answer, type CommandScope, withGlobals } from './shared.ts'

/** An effect that is not settled for longer than this is a sign of trouble, ms. */
const EFFECT_AGE_MAX_MS = 30_000

/** What is wrong with a partition, one sentence each; empty = healthy. */
function troubles(partition: PartitionStatus): string[] {
  const { service, role, alarm, parkedInputs, oldestEffectAgeMs, unreachablePeers } = partition
  const found: string[] = []
  if (alarm !== '') found.push(`${service}: alarm: ${alarm}`)
  if (role === 'Claiming' || role === 'Stopped') found.push(`${service} is ${role.toLowerCase()}`)
  if (partition.leader === '') found.push(`${service} has no leader`)
  if (parkedInputs > 0) {
    const are = parkedInputs === 1 ? 'is' : 'are'
    found.push(`${service}: ${count(parkedInputs, 'input')} could not be used and ${are} parked`)
  }
  if (Number(oldestEffectAgeMs) > EFFECT_AGE_MAX_MS) {
    found.push(
      `${service}: a call waits for its answer since ${duration(Number(oldestEffectAgeMs))}`,
    )
  }
  return [...found, ...unreachablePeers.map((peer) => `${service} cannot reach ${peer}`)]
}

/** What one process of the platform says of itself, or why it says nothing. */
interface Told {
  readonly address: string
  readonly status?: GetStatusResponse
  readonly problem?: string
}

/** A partition, where it was asked, if there are several processes. */
type At = PartitionStatus & { readonly at: string }

function row(partition: At): string[] {
  return [
    `${partition.service}/${partition.partition}`,
    ...(partition.at === '' ? [] : [partition.at]),
    partition.role,
    partition.leader || '-',
    String(partition.epoch),
    String(partition.position),
    `${partition.publishedSeq}/${partition.publicSeq}`,
    partition.lastSnapshot === '' ? '-' : `at ${partition.lastSnapshotPosition}`,
    String(partition.unsettledEffects),
    String(partition.parkedInputs),
  ]
}

/** The status for people. */
function statusText(told: readonly Told[], found: readonly string[], edge = ''): string {
  const several = told.length > 1
  const heading = [
    'SERVICE',
    ...(several ? ['AT'] : []),
    'ROLE',
    'LEADER',
    'EPOCH',
    'POSITION',
    'PUBLISHED',
    'SNAPSHOT',
    'EFFECTS',
    'PARKED',
  ]
  const partitions = told.flatMap(({ status, address }) =>
    (status?.partitions ?? []).map((one): At => ({ ...one, at: several ? address : '' })),
  )
  const verdict = found.length === 0 ? ['healthy'] : ['DEGRADED', ...found.map((one) => `  ${one}`)]
  const digests = partitions.flatMap(({ service, at, digest, position }) =>
    digest === '' ? [] : [[service, at, digest, several ? `at ${position}` : ''].join(' ').trim()],
  )
  const status = told.find((one) => one.status !== undefined)?.status
  return [
    `serverless-ai ${status?.version}, data in ${status?.dataDir}, ${status?.durability}`,
    ...(edge === '' ? [] : [`callers at ${edge}`]),
    '',
    table([heading, ...partitions.map(row)]).trimEnd(),
    '',
    ...digests,
    ...verdict,
    '',
  ].join('\n')
}

/** Asks every process of the platform. Throws when none of them answers. */
async function ask(io: Io, connection: Connection, withDigest: boolean): Promise<readonly Told[]> {
  const addresses = connection.address.split(',').map((one) => one.trim())
  const one = (address: string) =>
    withPlatform(io, { ...connection, address }, ({ admin }) => admin.getStatus({ withDigest }))
  const answers = await Promise.allSettled(addresses.map(one))
  const told = answers.map((answer, index): Told => {
    const address = addresses[index] ?? ''
    if (answer.status === 'fulfilled') return { address, status: answer.value }
    const { reason } = answer
    return { address, problem: reason instanceof Error ? reason.message : String(reason) }
  })
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (failed !== undefined && told.every(({ status }) => status === undefined)) throw failed.reason
  return told
}

/** What is wrong with a platform of one or several processes; each sentence once. */
function allTroubles(told: readonly Told[]): readonly string[] {
  const each = told.flatMap(({ address, status, problem }) =>
    status === undefined
      ? [`${address} does not answer: ${problem}`]
      : status.partitions.flatMap(troubles),
  )
  return [...new Set(each)]
}

/** `sai status` */
export function addStatus(program: Command, { io, checkout, exit }: CommandScope): void {
  withGlobals(program.command('status'))
    .description('state of the platform; exit status 0 healthy, 1 degraded')
    .option('--digest', 'also compute the digest of every state')
    .action(async (options: Globals & { digest?: boolean }) => {
      // Operators only: without another wish the operator's context is taken.
      const connection = resolveConnection({ globals: options, io, checkout, prefer: 'admin' })
      const told = await ask(io, connection, options.digest === true)
      const found = allTroubles(told)
      const statuses = told.flatMap(({ address, status }) =>
        status === undefined ? [] : [{ address, status: GetStatusResponse.toJSON(status) }],
      )
      answer(io, options, {
        json: {
          healthy: found.length === 0,
          troubles: found,
          ...(connection.edge !== undefined && { edge: connection.edge }),
          status: statuses[0]?.status,
          // Where the platform is several processes, each says its own.
          ...(told.length > 1 ? { statuses } : {}),
        },
        text: () => statusText(told, found, connection.edge),
      })
      if (found.length > 0) exit(EXIT.jobFailed)
    })
}
