/** Scaling targets and decisions as people read them. */
import {
  type ExplainResponse,
  type Input,
  type ListTargetsResponse,
  Mode,
  type NamedNumber,
  type ScaleDecision,
  type Target,
} from '@serverless-ai/contracts/scaling/v1/scaling'
import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { scaleText } from '../output/states.ts'
import { age, clockTime, duration, plain, table } from '../output/text.ts'
import {
  blockedText,
  blockedWord,
  decisionLine,
  noteText,
  numbersText,
  storyText,
} from './scaling-words.ts'

export const MODES: ReadonlyMap<string, Mode> = new Map([
  ['automatic', Mode.AUTOMATIC],
  ['advise', Mode.ADVISE],
  ['off', Mode.OFF],
])

const modeWord = (mode: Mode): string =>
  [...MODES].find(([, known]) => known === mode)?.[0] ?? `mode ${mode}`

/** What the policy believed: work is in thousandths of a request; below 0 = not known. */
function modelText(model: readonly NamedNumber[]): string {
  const known = model.filter(({ value }) => Number(value) >= 0)
  const inRequests = known.map(({ name, value }) =>
    name.endsWith('PerS') ? `${name} ${Number(value) / 1_000}` : `${name} ${value}`,
  )
  return inRequests.join(', ')
}

/** What was decided last. Where a user decides by now, what was carried out before is over. */
function lastText({ decision, blocked }: Target): string {
  if (blocked === 'OWNED' && decision?.outcome !== 'ADVISED') return 'a user decides'
  return decision === undefined ? 'nothing decided yet' : decisionLine(decision)
}

/** `sai scale list`. */
export function listText({ targets, budget }: ListTargetsResponse, nowMs: number): string {
  if (targets.length === 0) return 'nothing is scaled: no Inference job, no elastic one\n'
  const rows = targets.map((target) => {
    const { name, tenant, mode, decision, blocked, resting } = target
    const state = blocked === '' ? (resting ? 'at rest' : 'awake') : blockedWord(blocked)
    return [
      plain(name),
      plain(tenant),
      scaleText(target),
      modeWord(mode),
      state,
      decision === undefined ? '-' : age(decision.atMs, nowMs),
      plain(lastText(target)),
    ]
  })
  const heading = ['NAME', 'TENANT', 'SCALE', 'MODE', 'STATE', 'DECIDED', 'WHAT']
  const { devices = 0, heldByTargets = 0, heldByOthers = 0, unknown = true } = budget ?? {}
  const told = unknown
    ? 'devices: not known yet, nothing grows\n'
    : `devices: ${devices}, ${heldByTargets} held by these, ${heldByOthers} by others\n`
  return `${table([heading, ...rows])}${told}`
}

function inputText({ name, ageMs, unused, numbers }: Input): string {
  const told = numbersText(numbers)
  const old = ageMs === undefined ? '' : `, ${duration(Number(ageMs))} old`
  const why = unused === '' ? '' : `, not used: ${unused}`
  return `      ${name}: ${told === '' ? 'not known' : told}${old}${why}\n`
}

function decisionText(decision: ScaleDecision): string {
  const { atMs, decisionId, granted, hold, notes, rejected, inputs, model, policyVersion } =
    decision
  const lines = [
    `${clockTime(atMs)}  ${decisionLine(decision)}; ${granted} had devices; ${decisionId}, ` +
      `version ${policyVersion}\n`,
    ...(hold === undefined ? [] : [`    stays: ${noteText(hold)}\n`]),
    ...notes.map((note) => `    ${noteText(note)}\n`),
    ...rejected.map(({ wanted, why }) => `    not ${wanted}: ${why ? noteText(why) : ''}\n`),
    ...(inputs.length === 0 ? [] : ['    known\n', ...inputs.map(inputText)]),
    ...(model.length === 0 ? [] : [`    believed: ${modelText(model)}\n`]),
  ]
  return lines.map((line) => `${plain(line.trimEnd())}\n`).join('')
}

const storyLine = (entry: StoryEntry): string =>
  `${clockTime(entry.atMs)}  ${plain(storyText(entry))}\n`

function headText(target: Target): string {
  const { name, jobId, mode, settings, devicesEach, blocked, startupMs, capacityMilli } = target
  const policy = settings === undefined ? 'elastic training' : `policy ${settings.policy}`
  const start = startupMs === 0n ? '' : `, start-up ${duration(Number(startupMs))}`
  const bears =
    capacityMilli === 0n ? '' : `, a replica bears ${Number(capacityMilli) / 1_000} requests/s`
  const why = blocked === '' ? '' : `decisions are not carried out: ${blockedText(blocked)}\n`
  const who = blocked === 'OWNED' ? `manual (mode ${modeWord(mode)})` : modeWord(mode)
  return (
    `${plain(name)} (${jobId}): ${scaleText(target)}, ${who}, ${policy}, ` +
    `${devicesEach} device${devicesEach === 1 ? '' : 's'} each${start}${bears}\n${why}`
  )
}

const NONE_SO_OLD =
  '  no decision that is kept is so old; --at with a position (autoscaler:…) reads any past state\n'

/** `sai scale why TARGET`. */
export function whyText(
  { target, decisions, story }: ExplainResponse,
  { byTime }: { readonly byTime: boolean },
): string {
  // Asked for a time, only what was told until then is cut: a position reads the state of then.
  const now = target === undefined ? '' : `${byTime ? 'now: ' : ''}${headText(target)}`
  const head = byTime && decisions.length === 0 ? `${now}${NONE_SO_OLD}` : now
  const told = [
    ...decisions.map((one) => ({ atMs: one.atMs, text: decisionText(one) })),
    ...story.map((one) => ({ atMs: one.atMs, text: storyLine(one) })),
  ].sort((a, b) => Number(a.atMs - b.atMs))
  return `${head}${told.map(({ text }) => text).join('')}`
}

/** `sai scale mode TARGET MODE`. */
export const modeText = (target: Target | undefined): string =>
  target === undefined ? '' : headText(target)
