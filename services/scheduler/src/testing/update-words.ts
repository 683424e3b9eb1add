import type { SchedulerCommand } from '../core/messages.ts'
import type { UpdateService } from '../core/update-messages.ts'

/** Update `number` to a revision: one more at a time, none missing, a minute to become ready. */
export function update(
  jobId: string,
  number: number,
  words: Partial<Omit<UpdateService, 'type' | 'jobId' | 'number'>> = {},
): UpdateService {
  const { revision = number + 1, ...more } = words
  const limits = { maxSurge: 1, maxUnavailable: 0, startupDeadlineMs: 60_000, drainMs: 5_000 }
  const by = 'token:team'
  return { type: 'UpdateService', jobId, number, revision, ...limits, by, ...more }
}

/** The round that places what an update added. */
export const placeIt: SchedulerCommand = { type: 'ContinueRound' }

/** The time of a replica to become ready is over. */
export function startupOver(jobId: string, gang: number, generation = 1): SchedulerCommand {
  return { type: 'EndStartup', jobId, gang, generation }
}
