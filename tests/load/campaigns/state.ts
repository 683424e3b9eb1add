import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../support/root.ts'
import type { CaseResult } from './campaign.ts'

/** Where results are kept. */
export const RESULTS = join(ROOT, 'tests/load/results')

/** A campaign under way, so that an interrupted one goes on where it was. */
export interface State {
  readonly seed: number
  readonly count: number | undefined
  readonly commit: string
  readonly startedMs: number
  readonly results: readonly CaseResult[]
}

const pathOf = (name: string): string => join(RESULTS, '.state', `${name}.json`)

/** Writes a file as a whole or not at all. */
export function writeWhole(path: string, content: unknown): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(content, undefined, 2)}\n`)
  renameSync(`${path}.tmp`, path)
}

/** What an interrupted campaign has so far; undefined when there is none. */
export function loadState(name: string): State | undefined {
  const path = pathOf(name)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

export function saveState(name: string, state: State): void {
  mkdirSync(join(RESULTS, '.state'), { recursive: true })
  writeWhole(pathOf(name), state)
}

export function dropState(name: string): void {
  rmSync(pathOf(name), { force: true })
}
