/**
 * The logs of a cell that has ended, or of one that goes on as far as it was read: what of them
 * counts, by the arbitration of the checkers and not by that of the product.
 */
import type { Landed } from '../world/types.ts'
import { EffectiveLogs } from './effective-log.ts'
import type { ClaimSeen, CommitSeen } from './seen.ts'
import { Topics } from './topic.ts'

/** What counts, service by service in the order of its log. */
export interface EffectiveHistory {
  readonly claims: readonly ClaimSeen[]
  readonly commits: readonly CommitSeen[]
  /** Sentences about records that cannot be, and public events that are not what was committed. */
  readonly problems: readonly string[]
}

/**
 * Arbitrates records. Give it the private log of a service before its public events, and each topic
 * whole and in its order.
 */
export function readHistory(records: Iterable<Landed>): EffectiveHistory {
  const claims: ClaimSeen[] = []
  const commits: CommitSeen[] = []
  const problems: string[] = []
  const tell = (about: string, message: string): void => {
    problems.push(`${about}: ${message}`)
  }
  const topics = new Topics(tell)
  const logs = new EffectiveLogs(tell, {
    claimed: (claim) => claims.push(claim),
    committed: (commit) => {
      commits.push(commit)
      topics.committed(commit)
    },
  })
  for (const record of records) if (!logs.landed(record)) topics.landed(record)
  return { claims, commits, problems }
}
