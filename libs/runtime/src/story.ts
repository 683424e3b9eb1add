import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'

/** What happened at a time, as a core keeps it: a code with numbers. */
export interface StoryLine {
  /** Log time, ms since 1970. */
  readonly atMs: number
  readonly code: string
  readonly details: Readonly<Record<string, string>>
}

/** A story of a service up to a time, for the wire. */
export const storyUntil = (
  service: string,
  story: readonly StoryLine[],
  untilMs: number,
): StoryEntry[] =>
  story
    .filter(({ atMs }) => atMs <= untilMs)
    .map(({ atMs, code, details }) => ({
      atMs: BigInt(Math.trunc(atMs)),
      position: '',
      service,
      code,
      details: { ...details },
    }))
