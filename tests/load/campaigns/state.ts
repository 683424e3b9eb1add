import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../support/root.ts'
import type { CaseResult } from './campaign.ts'

/** Where results are kept. */
export const RESULTS = join(ROOT, 'tests/load/results')

/** A stretch of a campaign: what ran without a break, on one commit. */
export interface Stretch {
  readonly commit: string
  /** ISO 8601. */
  readonly startedAt: string
  /** Cases that ran at once; absent = one, or as the campaign says. */
  readonly parallel?: number
  /** How long it ran. */
  readonly hours: number
  readonly results: readonly CaseResult[]
}

/** A campaign under way, so that an interrupted one goes on where it was, also days later. */
export interface State {
  readonly seed: number
  readonly count: number | undefined
  readonly stretches: readonly Stretch[]
}

const pathOf = (name: string): string => join(RESULTS, '.state', `${name}.json`)

/** Writes a file as a whole or not at all. */
export function writeWhole(path: string, content: unknown): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(content, undefined, 2)}\n`)
  renameSync(`${path}.tmp`, path)
}

const readJson = (path: string): State & { readonly missing?: number } =>
  JSON.parse(readFileSync(path, 'utf8'))

/**
 * What an interrupted campaign has so far: of this checkout, or as it was committed with cases
 * missing; undefined when there is none.
 */
export function loadState(name: string): State | undefined {
  const path = pathOf(name)
  if (existsSync(path)) return readJson(path)
  const committed = join(RESULTS, `${name}.json`)
  if (!existsSync(committed)) return undefined
  const { seed, count, stretches, missing = 0 } = readJson(committed)
  return missing > 0 ? { seed, count, stretches } : undefined
}

export function saveState(name: string, state: State): void {
  mkdirSync(join(RESULTS, '.state'), { recursive: true })
  writeWhole(pathOf(name), state)
}

export function dropState(name: string): void {
  rmSync(pathOf(name), { force: true })
}
