import { Dice } from '../support/random.ts'
import {
  CONTROL_PLANE_MOMENTS,
  type CrashOrder,
  type Moment,
  NODE_MOMENTS,
  orderText,
} from './moments.ts'

/** What is killed from outside, everything of it at once. */
export const TARGETS = [
  'control plane',
  'agent',
  'supervisor',
  'agent and control plane',
  /** Supervisor, agent and tasks of a node. */
  'node',
  /** All nodes and the control plane. */
  'machine',
] as const
export type Target = (typeof TARGETS)[number]

/** A kill: from outside at a random time, or by the process itself at a moment. */
export type Kill = {
  /** Which node, from 0; nothing to a target without one. */
  readonly node: number
} & (
  | {
      readonly at: 'random'
      readonly target: Target
      /** Time after the last kill, ms; what it took down is started at once. */
      readonly afterMs: number
    }
  | ({ readonly at: 'moment' } & CrashOrder)
)

/** Local nodes of the platform that is killed. */
export const NODES = 3

/** True for a moment of a supervisor or an agent. */
export const isNodeMoment = (moment: Moment): boolean =>
  NODE_MOMENTS.some((known) => known === moment)

/** Id of the node that a kill means. */
export const nodeIdOf = ({ node }: Kill): string => `n${node + 1}`

/** A kill in a few words: what dies, where and when. */
export function nameOfKill(kill: Kill): string {
  if (kill.at === 'moment') {
    return isNodeMoment(kill.moment) ? `${orderText(kill)} on ${nodeIdOf(kill)}` : orderText(kill)
  }
  const whole = kill.target === 'control plane' || kill.target === 'machine'
  return `${kill.target}${whole ? '' : ` of ${nodeIdOf(kill)}`} after ${kill.afterMs} ms`
}

/** Chooses one kill for each of `moments` and `random` others, in random order. */
export function planKills(init: {
  readonly seed: number
  readonly random: number
  readonly moments: readonly Moment[]
  /**
   * Whether the control plane is several processes: each counts moments for itself, and sees fewer.
   * Default false.
   */
  readonly severalProcesses?: boolean
}): readonly Kill[] {
  const most = (moment: Moment): number => {
    if (init.severalProcesses !== true || isNodeMoment(moment)) return nthMax(moment)
    return moment === 'claim-sent-unread' ? 1 : Math.min(3, nthMax(moment))
  }
  const dice = new Dice(init.seed)
  const node = () => dice.between(0, NODES - 1)
  const named = init.moments.map((moment): Kill => {
    return { at: 'moment', moment, nth: dice.between(1, most(moment)), node: node() }
  })
  const targets = Array.from({ length: Math.ceil(init.random / TARGETS.length) }, () =>
    dice.shuffled(TARGETS),
  ).flat()
  const random = targets.slice(0, init.random).map((target): Kill => {
    return { at: 'random', target, afterMs: dice.between(100, 3_000), node: node() }
  })
  return dice.shuffled([...named, ...random])
}

/** How late an occurrence still comes soon enough. */
function nthMax(moment: Moment): number {
  if (isNodeMoment(moment)) return 3
  if (moment === 'claim-sent-unread') return 4
  if (moment === 'mid-bootstrap-page') return 2
  if (moment === 'timer-due' || moment === 'mid-snapshot' || moment === 'manifest-unwritten') {
    return 3
  }
  return 12
}

/**
 * `count` moments, by turns of the control plane and of nodes: other ones with each seed, none
 * twice before each came once.
 */
export function someMoments(seed: number, count: number): readonly Moment[] {
  const dice = new Dice(seed)
  const drawn = (from: readonly Moment[], wanted: number): Moment[] => {
    const all: Moment[] = []
    while (all.length < wanted) all.push(...dice.shuffled(from))
    return all.slice(0, wanted)
  }
  const half = Math.floor(count / 2)
  return [...drawn(CONTROL_PLANE_MOMENTS, half), ...drawn(NODE_MOMENTS, count - half)]
}
