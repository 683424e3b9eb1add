import { GetStatusResponse, type PartitionStatus } from '@serverless-ai/contracts/admin/v1/admin'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { EXIT } from '../exit.ts'
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

function row(partition: PartitionStatus): string[] {
  return [
    `${partition.service}/${partition.partition}`,
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
function statusText(status: GetStatusResponse): string {
  const heading = [
    'SERVICE',
    'ROLE',
    'LEADER',
    'EPOCH',
    'POSITION',
    'PUBLISHED',
    'SNAPSHOT',
    'EFFECTS',
    'PARKED',
  ]
  const found = status.partitions.flatMap(troubles)
  const verdict = found.length === 0 ? ['healthy'] : ['DEGRADED', ...found.map((one) => `  ${one}`)]
  const digests = status.partitions.flatMap(({ service, digest }) =>
    digest === '' ? [] : [`${service} ${digest}`],
  )
  return [
    `serverless-ai ${status.version}, data in ${status.dataDir}, ${status.durability}`,
    '',
    table([heading, ...status.partitions.map(row)]).trimEnd(),
    '',
    ...digests,
    ...verdict,
    '',
  ].join('\n')
}

/** `sai status` */
export function addStatus(program: Command, { io, checkout, exit }: CommandScope): void {
  withGlobals(program.command('status'))
    .description('state of the platform; exit status 0 healthy, 1 degraded')
    .option('--digest', 'also compute the digest of every state')
    .action(async (options: Globals & { digest?: boolean }) => {
      // Operators only: without another wish the operator's context is taken.
      const connection = resolveConnection({ globals: options, io, checkout, prefer: 'admin' })
      const request = { withDigest: options.digest === true }
      const status = await withPlatform(io, connection, (platform) =>
        platform.admin.getStatus(request),
      )
      const found = status.partitions.flatMap(troubles)
      answer(io, options, {
        json: {
          healthy: found.length === 0,
          troubles: found,
          status: GetStatusResponse.toJSON(status),
        },
        text: () => statusText(status),
      })
      if (found.length > 0) exit(EXIT.jobFailed)
    })
}
