/** Names in messages: the same everywhere, so that a reader can search for them. */
import type { Place } from './seen.ts'
import type { TaskKey } from './types.ts'

/** Names of the services whose logs are looked at. */
export const SERVICES = {
  scheduler: 'scheduler',
  pool: 'pool-manager',
  mediator: 'mediator',
  faults: 'fault-tolerance',
} as const

/** `serverlessai.log.scheduler.v1` → `scheduler`; undefined for other topics. */
export const ownerOfLog = (topic: string): string | undefined =>
  /^serverlessai\.log\.([a-z-]+)\.v\d+$/.exec(topic)?.[1]

/** `serverlessai.events.scheduler.v1` → `scheduler`; undefined for other topics. */
export const ownerOfEvents = (topic: string): string | undefined =>
  /^serverlessai\.events\.([a-z-]+)\.v\d+$/.exec(topic)?.[1]

/** `scheduler log 17 (landed at 12.345 s)`. */
export const placeText = ({ service, position, landedMs }: Place): string =>
  `${service} log ${position} (landed at ${secondsText(landedMs)})`

/** `12.345 s`. */
export const secondsText = (ms: number): string => `${(ms / 1000).toFixed(3)} s`

/** Key of a gang in maps. */
export const gangKey = (jobId: string, gang: number): string => `${jobId}/${gang}`

/** Key of an execution in maps. */
export const taskKey = (key: TaskKey): string =>
  `${key.jobId}/${key.gang}/${key.generation}/${key.rank}`

/** `j-0-1 gang 0 generation 2 rank 3`. */
export const taskText = (key: TaskKey): string =>
  `${generationText(key.jobId, key.gang, key.generation)} rank ${key.rank}`

/** `j-0-1 gang 0 generation 2`. */
export const generationText = (jobId: string, gang: number, generation: number): string =>
  `${jobId} gang ${gang} generation ${generation}`

const ENDS: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Cancelled'])

/** True for a state of the scheduler that nothing may change. */
export const isEnd = (state: string): boolean => ENDS.has(state)
