import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'

/** Part of a campaign: `count` from the number `first` on. */
export interface Piece {
  readonly seed: number
  readonly first: number
  readonly count: number
}

interface PiecesInit {
  readonly name: string
  readonly about: string
  /** Full count, count of a slice, and how many make one case. */
  readonly full: number
  readonly slice: number
  readonly perCase: number
  /** More for the settings of the result. */
  readonly settings?: Facts
  /** Throws when a promise does not hold. */
  readonly run: (piece: Piece) => Facts | Promise<Facts>
}

/** A campaign that needs no processes: so many of one kind, in pieces that can be resumed. */
export function inPieces(init: PiecesInit): Campaign {
  const total = ({ count, slice }: CampaignInit): number =>
    count ?? (slice ? init.slice : init.full)
  return {
    name: init.name,
    about: init.about,
    settings: (options) => ({
      count: total(options),
      perCase: init.perCase,
      ...init.settings,
    }),
    cases(options) {
      const { seed } = options
      const all = total(options)
      const flags = `--seed ${seed} --count ${all}`
      return Array.from({ length: Math.ceil(all / init.perCase) }, (_, index): Case => {
        const first = index * init.perCase
        const count = Math.min(init.perCase, all - first)
        return {
          name: `${first + 1} to ${first + count}`,
          repro: `npm run campaign -- ${init.name} ${flags} --only ${index + 1}`,
          run: async () => init.run({ seed, first, count }),
        }
      })
    },
  }
}
