/** Plain data of a result file. */
export type Facts = Readonly<Record<string, unknown>>

/** One case of a campaign. */
export interface Case {
  readonly name: string
  /** Command that runs this case alone again. */
  readonly repro: string
  /** Throws when a promise does not hold; returns what was seen. */
  run(say: (line: string) => void): Promise<Facts>
}

/** What a campaign is made with. */
export interface CampaignInit {
  readonly seed: number
  /** How much of it; each campaign says of what. Default: the full count. */
  readonly count: number | undefined
  /** The small version for every change. */
  readonly slice: boolean
}

/** A campaign: many cases of one kind. */
export interface Campaign {
  readonly name: string
  /** One line; `count` is explained in it. */
  readonly about: string
  /** Cases that run at once. Default 1. */
  readonly parallel?: number
  /** Settings for the result file. */
  settings(init: CampaignInit): Facts
  cases(init: CampaignInit): readonly Case[]
}

/** A case that has run. */
export interface CaseResult {
  readonly name: string
  readonly ok: boolean
  readonly seconds: number
  readonly facts: Facts
  /** One line, empty when it held. */
  readonly failure: string
  readonly repro: string
}
