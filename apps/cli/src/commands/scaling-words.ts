/** Codes and decisions of scaling in plain words; the code stands behind, for who looks it up. */
import type { NamedNumber, Note, ScaleDecision } from '@serverless-ai/contracts/scaling/v1/scaling'
import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { pairs } from '../output/story.ts'
import { count, duration } from '../output/text.ts'

const NOTES: ReadonlyMap<string, string> = new Map([
  ['AT_BUDGET', 'more were needed than there are devices for'],
  ['AT_CEILING', 'more were needed than its maximum'],
  ['AT_FLOOR', 'fewer would do; its minimum stays'],
  ['AT_MINIMUM', 'training has its minimum and leaves no more'],
  ['AT_QUOTA', 'more were needed than its queue may have'],
  ['BETWEEN_SYNCS', 'the next look is not due yet'],
  ['BUDGET_UNKNOWN', 'devices or queue are not known yet: nothing grows'],
  ['COMES_BACK', 'devices were free for long enough: training gets more'],
  ['COSTS_MORE', 'it would cost more'],
  ['DEVICES_SHORT', 'others got the devices first'],
  ['GIVES_WAY', 'services need devices: training leaves some'],
  ['HELD_GAUGE_STUCK', 'requests are said to wait beside idle replicas: not believed'],
  ['HISTORY_SHORT', 'too little was seen so far: nothing shrinks but to zero'],
  ['METRICS_UNKNOWN', 'nothing is known of the load: the number stays'],
  ['NOT_LOWER_LONG_ENOUGH', 'the load has not been low for long enough'],
  ['OBJECTIVE_UNREACHABLE', 'more replicas do not help this objective: no longer planned for'],
  ['RESTART_COST_WINDOW', 'training was changed a short time ago: it is left alone'],
  ['SETTLING', 'a change would be too soon'],
  ['SOURCE_SILENT', 'a gateway that held requests says nothing: nothing shrinks'],
  ['WOULD_MISS_OBJECTIVE', 'it would miss the objective'],
])

/** `need 3, limit 2` */
export const numbersText = (numbers: readonly NamedNumber[]): string =>
  numbers.map(({ name, value }) => `${name} ${value}`).join(', ')

/** `a change would be too soon (need 3) [SETTLING]` */
export function noteText({ code, numbers }: Note): string {
  const told = numbers.length === 0 ? '' : ` (${numbersText(numbers)})`
  const words = NOTES.get(code)
  return words === undefined ? `${code}${told}` : `${words}${told} [${code}]`
}

/** What keeps decisions from being carried out. */
const BLOCKED: ReadonlyMap<string, readonly [state: string, sentence: string]> = new Map([
  ['OWNED', ['manual', 'a user decides; `sai job scale --auto` gives it back']],
  ['COOLDOWN', ['cooling down', 'its last change is too new']],
  ['PENDING', ['asking', 'the scheduler has not answered yet']],
  ['SCHEDULER_REFUSED', ['refused', 'the scheduler refused; it is asked again soon']],
  ['MODE', ['advised', 'its mode']],
])

/** One word for a column: `manual`. */
export const blockedWord = (code: string): string => BLOCKED.get(code)?.[0] ?? code.toLowerCase()

/** `a user decides; …` */
export const blockedText = (code: string): string => BLOCKED.get(code)?.[1] ?? code

/** Elastic training: it has tasks, and its policy is the division of the devices. */
function trainingLine({ from, wanted, policyWanted: has }: ScaleDecision): string {
  // What was ordered last may be more than what it got: it is counted from what it has.
  const ordered = from === has ? '' : `; the order before was ${from}`
  if (wanted === has) return `training keeps ${count(wanted, 'task')}${ordered}`
  const what = wanted < has ? 'training gives way' : 'training gets devices'
  return `${what}: ${has} → ${count(wanted, 'task')}${ordered}`
}

/** `more replicas: 1 → 2 (predictive, which wanted 3)` */
export function decisionLine(decision: ScaleDecision): string {
  const { from, wanted, outcome, policy, policyWanted } = decision
  const advice = outcome === 'ADVISED' ? 'advice, not carried out: ' : ''
  if (policy === 'share') return `${advice}${trainingLine(decision)}`
  const by = policyWanted === wanted ? policy : `${policy}, which wanted ${policyWanted}`
  if (wanted === from) return `${advice}stays at ${count(wanted, 'replica')} (${by})`
  return `${advice}${wanted < from ? 'fewer' : 'more'} replicas: ${from} → ${wanted} (${by})`
}

type Details = Readonly<Record<string, string>>

/** Who decides about the number, as the scheduler names owners. */
const ownerText = ({ to, wanted }: Details): string =>
  to === 'user'
    ? `a user decides from now on (${wanted} wanted): decisions are advice`
    : `the autoscaler decides from now on (${wanted} wanted)`

const because = ({ waiting }: Details): string => (waiting === undefined ? '' : ` (${waiting})`)

const STORY: ReadonlyMap<string, (told: Details) => string> = new Map([
  ['TARGET_TRACKED', ({ min, max, wanted }) => `followed: ${wanted} wanted, ${min} to ${max}`],
  [
    'SERVICE_DECLARED',
    ({ policy, idleMs, devicesEach }) =>
      `declared: policy ${policy}, idle after ${duration(Number(idleMs))} without requests, ` +
      `${count(Number(devicesEach), 'device')} each`,
  ],
  ['OWNER_CHANGED', ownerText],
  ['MODE_SET', ({ mode }) => `its mode is ${mode} from now on`],
  ['OBJECTIVE_BREACHED', ({ actions }) => `an objective is in danger (${actions})`],
  ['OBJECTIVE_CALM', () => 'no objective is in danger any more'],
  [
    'RESIZE_REFUSED',
    ({ decision, code, ...numbers }) =>
      [`the scheduler refused ${decision}: ${code}`, ...pairs(numbers)].join(' '),
  ],
  [
    'GRANTED_IN_PART',
    (told) =>
      `the scheduler has devices for ${told['granted']} of ${told['wanted']}, the others wait` +
      `${because(told)}; ${told['decision']}`,
  ],
  ['RESIZED', ({ wanted, decision }) => `the scheduler has given ${wanted}; ${decision}`],
])

/** `a user decides from now on (1 wanted): … [OWNER_CHANGED]` */
export function storyText({ code, details }: StoryEntry): string {
  const words = STORY.get(code)
  if (words !== undefined) return `${words(details)} [${code}]`
  return [code.toLowerCase(), ...pairs(details)].join(' ')
}
