/** From what a step comes to, to decisions: which are carried out, which are told. */
import {
  accept,
  type DecideContext,
  type Decision,
  type EffectRequest,
} from '@serverless-ai/kernel'
import {
  isFixed,
  isOurs,
  isSettling,
  isTraining,
  someWait,
  tasksOf,
  whyBlocked,
} from './control.ts'
import { devicesNow } from './fleet.ts'
import { POLICY_VERSION, REST_MS, TELL_MS } from './limits.ts'
import { leavable, promised } from './limits-of.ts'
import { look, type Outlook, type Wish } from './look.ts'
import {
  type AutoscalerCommand,
  type AutoscalerEvent,
  resizeKey,
  type Signals,
  type Stepped,
} from './messages.ts'
import type { AutoscalerState, ScaleDecision, Target } from './model.ts'
import { isActive } from './observe.ts'

/** Codes that come and go with every other step: a change of them alone is not told. */
const CHATTY: ReadonlySet<string> = new Set([
  'SETTLING',
  'NOT_LOWER_LONG_ENOUGH',
  'BETWEEN_SYNCS',
  'HISTORY_SHORT',
  'AT_FLOOR',
])

/** What has to be told of a wish; the same again is no news. */
export function signatureOf({ decision, wanted }: Wish, advised: boolean): string {
  const codes = decision.notes.map(({ code }) => code)
  const all = decision.hold === undefined ? codes : [...codes, decision.hold.code]
  const told = [...new Set(all)].filter((code) => !CHATTY.has(code)).sort()
  return [...(advised ? [`ADVISED:${wanted}`] : []), ...told].join(' ')
}

/** The last outlook: what was looked at to decide is not looked at again to fold. */
let last: { state: AutoscalerState; folded: number; key: string; outlook: Outlook } | undefined

/** What a step comes to, now. */
export function outlookOf(state: AutoscalerState, stepped: Stepped, atMs: number): Outlook {
  const key = `${atMs} ${JSON.stringify(stepped)}`
  if (last?.state === state && last.folded === state.folded && last.key === key) return last.outlook
  const outlook = look(state, stepped, atMs)
  last = { state, folded: state.folded, key, outlook }
  return outlook
}

const causeOf = ({ policy, policyWanted, decision }: Wish, from: number): string => {
  const codes = decision.notes.map(({ code }) => code)
  const why = codes.length === 0 ? '' : ` (${codes.join(', ')})`
  return policy === 'share'
    ? `share of devices${why}`
    : `${policy}: ${from} to ${policyWanted}${why}`
}

type Outcome = ScaleDecision['outcome']

/** Whether a wish is carried out, told as advice, told as a reason to stay, or nothing. */
function outcomeOf(target: Target, wish: Wish, atMs: number): Outcome | undefined {
  const moved = wish.wanted !== target.scale?.wanted
  if (moved && isOurs(target)) {
    return whyBlocked(target, atMs) === undefined ? 'APPLIED' : undefined
  }
  const signature = signatureOf(wish, moved)
  const { told } = target
  if (signature === told.signature) return undefined
  if (told.atMs > 0 && atMs - told.atMs < TELL_MS) return undefined
  return moved ? 'ADVISED' : 'HELD'
}

/** Decides upon what was measured. */
export function step(
  command: Extract<AutoscalerCommand, { type: 'Step' }>,
  state: AutoscalerState,
  { atMs }: Pick<DecideContext, 'atMs'>,
): Decision<AutoscalerEvent> {
  const stepped: Stepped = { ...command, type: 'Stepped' }
  const { wishes } = outlookOf(state, stepped, atMs)
  const events: AutoscalerEvent[] = [stepped]
  const effects: EffectRequest[] = []
  for (const wish of wishes) {
    const { jobId, wanted, policyWanted, policy } = wish
    const target = state.targets.get(jobId)
    const { scale } = target ?? {}
    if (target === undefined || scale === undefined) continue
    const outcome = outcomeOf(target, wish, atMs)
    if (outcome === undefined) continue
    const decisionId = `d-0-${state.decisions + events.length}`
    const { hold, notes, rejected, inputs, model } = wish.decision
    const decision: ScaleDecision = {
      decisionId,
      atMs,
      from: scale.wanted,
      wanted,
      policyWanted,
      granted: scale.granted,
      outcome,
      scaleVersion: scale.version,
      policy,
      policyVersion: POLICY_VERSION,
      ...(hold === undefined ? {} : { hold }),
      notes,
      rejected,
      inputs,
      model,
    }
    events.push({ type: 'ScaleDecided', jobId, decision })
    if (outcome !== 'APPLIED') continue
    const cause = causeOf(wish, scale.wanted)
    const payload = { jobId, wanted, expectedVersion: scale.version, decisionId, cause }
    effects.push({ key: resizeKey(jobId), kind: 'Resize', payload })
  }
  return accept(events, { effects })
}

/** Whether a service waits for devices that were asked for. */
const isShort = ({ service, scale }: Target): boolean =>
  service !== undefined && scale !== undefined && scale.granted < scale.wanted

/** Whether a service has to be looked at, given what was told of it. */
export function isAwake(target: Target, row: Signals): boolean {
  const { scale, service, mode, clockMs, activeMs } = target
  if (scale === undefined || service === undefined || mode === 'off') return false
  if (isFixed(target)) return false
  if (isActive(row)) return true
  if (scale.wanted === 0) return false
  if (scale.wanted > scale.min && isOurs(target)) return true
  // At rest from the beginning, or for long enough.
  return activeMs > 0 && clockMs - activeMs < REST_MS
}

/** Devices that nobody holds or was promised. */
function spare(state: AutoscalerState): number {
  const devices = devicesNow(state)
  let { free } = devices
  for (const target of state.targets.values()) {
    if (target.service !== undefined) free -= promised(target, devices)
  }
  return free
}

/** Whether training could have more of the devices than it has. */
export function mayGrow(state: AutoscalerState, atMs: number): boolean {
  if (someWait(state)) return false
  let free: number | undefined
  for (const target of state.targets.values()) {
    if (!isTraining(target) || !isOurs(target) || isSettling(target, atMs)) continue
    const tasks = tasksOf(target)
    if (tasks === 0 || tasks >= (target.scale?.max ?? 0)) continue
    free ??= spare(state)
    if (free >= target.taskDevices) return true
  }
  return false
}

/**
 * Whether training would leave devices that a service was not given and waits for: it needs no
 * traffic for that. Looked at, not recorded: a step that changes nothing is none.
 */
export function givesWay(state: AutoscalerState, atMs: number): boolean {
  const waits = [...state.targets.values()].some(isShort)
  if (!waits || leavable(state, atMs) === 0) return false
  const giveBackAfterMs = Number.MAX_SAFE_INTEGER
  const { wishes } = look(state, { type: 'Stepped', rows: [], stepMs: 1, giveBackAfterMs }, atMs)
  return wishes.some((wish) => {
    const target = state.targets.get(wish.jobId)!
    return wish.wanted < tasksOf(target) && outcomeOf(target, wish, atMs) === 'APPLIED'
  })
}

/** Rows of a step, or none when there is nothing to decide. */
export function rowsToStep(
  state: AutoscalerState,
  rows: readonly Signals[],
  atMs: number,
): readonly Signals[] | undefined {
  const awake = rows.filter((row) => {
    const target = state.targets.get(row.jobId)
    return target !== undefined && isAwake(target, row)
  })
  if (awake.length > 0) return awake
  return mayGrow(state, atMs) || givesWay(state, atMs) ? awake : undefined
}

/** Whether nothing happens to a target by itself. */
export function isResting(target: Target): boolean {
  if (target.scale?.unit === 'tasks') return true
  if (isShort(target)) return false
  return !isAwake(target, { jobId: target.jobId, busy: [] })
}
