import { Dice } from '../support/random.ts'
import { type CrashOrder, MOMENTS, type Moment, orderText } from './moments.ts'

/** A kill: from outside at a random time after the start, or by the process itself at a moment. */
export type Kill =
  | { readonly at: 'random'; readonly afterMs: number }
  | ({ readonly at: 'moment' } & CrashOrder)

export const nameOfKill = (kill: Kill): string =>
  kill.at === 'random' ? `random, ${kill.afterMs} ms after the start` : orderText(kill)

/**
 * Chooses kills: `random` of them at random times, and one for each of `moments`, in random order.
 */
export function planKills(init: {
  seed: number
  random: number
  moments: readonly Moment[]
}): readonly Kill[] {
  const dice = new Dice(init.seed)
  const named = init.moments.map((moment): Kill => {
    return { at: 'moment', moment, nth: dice.between(1, nthMax(moment)) }
  })
  const random = Array.from({ length: init.random }, (): Kill => {
    return { at: 'random', afterMs: dice.between(100, 6_000) }
  })
  return dice.shuffled([...named, ...random])
}

/** How late an occurrence still comes soon enough. */
function nthMax(moment: Moment): number {
  if (moment === 'claim-sent-unread') return 4
  if (moment === 'mid-bootstrap-page') return 2
  if (moment === 'timer-due' || moment === 'mid-snapshot' || moment === 'manifest-unwritten') {
    return 3
  }
  return 12
}

/** Moments for a short run: other ones with each seed. */
export function someMoments(seed: number, count: number): readonly Moment[] {
  return new Dice(seed).shuffled(MOMENTS).slice(0, count)
}
