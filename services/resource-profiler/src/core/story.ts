/** What was found out about a job, for people: codes with numbers. */
import type { ProfilerEvent } from './messages.ts'
import type { ProfilerState, StoryLine } from './model.ts'

const texts = (numbers: Record<string, string | number>): Record<string, string> =>
  Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)]))

interface StoryOfJob {
  readonly jobId: string
  readonly line: StoryLine
}

/** Names of what is told, in the order of the numbers. */
const NAMES = [
  'periodUs',
  'cpuP95Millis',
  'memoryPeakMib',
  'deviceBusyP95Pct',
  'startUpP50Ms',
  'checkpointBytes',
  'cpuAdviceMillis',
  'memoryAdviceMib',
  'devicesAdvice',
]

/** Those of the numbers that are known and changed. */
function changesOf(before: readonly number[], now: readonly number[]): Record<string, string> {
  const changes: Record<string, string> = {}
  for (const [index, value] of now.entries()) {
    const then = before[index] ?? -1
    if (value === then) continue
    const text = (number: number): string =>
      number < 0 ? 'unknown' : String(Math.round(number * 10) / 10)
    changes[NAMES[index] ?? `number${index}`] = `${text(then)} -> ${text(value)}`
  }
  return changes
}

/** The line of an event and the job that it belongs to; undefined = none is told. */
export function storyOf(
  event: ProfilerEvent,
  before: ProfilerState,
  atMs: number,
): StoryOfJob | undefined {
  const told = (jobId: string, code: string, details: Record<string, string | number>) => ({
    jobId,
    line: { atMs, code, details: texts(details) },
  })
  switch (event.type) {
    case 'GangNoted': {
      const { jobId, gang, generation, nodeOfRank } = event.placed
      return told(jobId, 'PROFILE_BEGUN', { gang, generation, tasks: nodeOfRank.length })
    }
    case 'StartMeasured': {
      const { jobId, gang, generation } = event.key
      const { placedMs = 0, startedMs = 0 } = before.jobs.get(jobId)?.gangs.get(gang) ?? {}
      const startedAfterMs = startedMs - placedMs
      const readyAfterMs = event.readyMs - placedMs
      return told(jobId, 'START_UP_MEASURED', { gang, generation, startedAfterMs, readyAfterMs })
    }
    case 'ProfileTold': {
      const { jobId, number, cause, numbers } = event
      const changes = changesOf(before.jobs.get(jobId)?.told.numbers ?? [], numbers)
      return told(jobId, `PROFILE_${cause}`, { number, ...changes })
    }
    default:
      return undefined
  }
}
