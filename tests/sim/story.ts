/** The page that explains an alarm. */
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import {
  type Alarm,
  type RunResult,
  runSimulation,
  scenarioOf,
  type TraceEntry,
} from '@serverless-ai/sim'

/** Lines of a story: its beginning and its end. */
const FIRST = 8
const LAST = 32
/** Messages on the wire, and bytes that landed: what they say stands in the lines about the log. */
const WIRE = /^(\/[\w.]+\/|serverlessai\.)/
const TICK = / tick$/
const PLACES = new RegExp(`\\b(?:node|${SERVICE_NAMES.join('|')})-\\d+\\b`, 'g')

/** Does this happening belong to the story of the alarm? */
export function belongs({ who, text }: TraceEntry, alarm: Alarm): boolean {
  if (WIRE.test(text) || TICK.test(text)) return false
  if (who === 'checker') return true
  if (alarm.about !== '' && text.includes(alarm.about)) return true
  const places = new Set(alarm.message.match(PLACES) ?? [])
  if (who !== 'faults') return places.has(who) && !text.startsWith('debug:')
  // A fault of a place, or of one of its processes.
  return (text.match(PLACES) ?? []).some((place) => places.has(place))
}

/**
 * Runs the seed again and picks what belongs to its alarm, from the first word of what it is about
 * to the alarm itself.
 */
export async function storyOf(result: RunResult): Promise<readonly TraceEntry[]> {
  const [alarm] = result.alarms
  if (alarm === undefined) return []
  const entries: TraceEntry[] = []
  let begun = false
  let over = false
  await runSimulation({
    scenario: scenarioOf(result.scenario),
    seed: result.seed,
    onEntry: (entry) => {
      begun ||= entry.text.includes(alarm.about)
      if (over || !begun || !belongs(entry, alarm)) return
      entries.push(entry)
      over = entry.who === 'checker'
    },
  })
  return entries
}

/** The beginning and the end of a long story. */
export function abridged(entries: readonly TraceEntry[]): {
  readonly first: readonly TraceEntry[]
  readonly left: number
  readonly last: readonly TraceEntry[]
} {
  const left = Math.max(0, entries.length - FIRST - LAST)
  if (left === 0) return { first: entries, left, last: [] }
  return { first: entries.slice(0, FIRST), left, last: entries.slice(-LAST) }
}
