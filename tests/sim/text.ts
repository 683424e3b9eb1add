import type { RunResult, TraceEntry } from '@serverless-ai/sim'
import { abridged } from './story.ts'

/** The line that gives the same run again, in any checkout of the commit. */
export function reproOf(
  { scenario, seed }: Pick<RunResult, 'scenario' | 'seed'>,
  at: { readonly commit: string; readonly defect: string | undefined },
): string {
  const defect = at.defect === undefined ? '' : ` --defect ${at.defect}`
  return `npm run sim -- --scenario ${scenario} --seed ${seed}${defect} # commit ${at.commit}`
}

/** A happening as a line. */
export function entryText({ atMs, event, who, text }: TraceEntry): string {
  const seconds = (atMs / 1_000).toFixed(3).padStart(9)
  return `${seconds} s  ${String(event).padStart(8)}  ${who.padEnd(18)} ${text}`
}

/** A line is cut here. */
const COLUMNS = 230

const cut = (line: string): string =>
  line.length > COLUMNS ? `${line.slice(0, COLUMNS - 2)} …` : line

/** The counts of a run in a line. */
function countsOf(result: RunResult): string {
  const { scenario, seed, hash, simMs, commits, leaderChanges, tasksStarted } = result
  const faults = Object.values(result.faults).reduce((sum, one) => sum + one, 0)
  return (
    `${scenario} seed ${seed}: ${(simMs / 60_000).toFixed(1)} min, ${commits} commits, ` +
    `${leaderChanges} leader changes, ${tasksStarted} tasks, ${faults} faults, ` +
    `hash ${hash.slice(0, 16)}`
  )
}

/** A run that was stopped on its way: nothing is said about what would have come. */
export function cutText(result: RunResult): string {
  const { events } = result
  return `CUT   ${countsOf(result)} so far; stopped at event ${events}, not judged to its end`
}

/** What came of a run in a line; with alarms, what was promised and seen. */
export function summaryOf(result: RunResult, repro: string): string {
  const { alarms } = result
  const line = countsOf(result)
  if (alarms.length === 0) return `ok    ${line}`
  const [first] = alarms
  const about = first!.about === '' ? '' : ` --about ${first!.about}`
  const others = alarms.length > 1 ? [`  and ${alarms.length - 1} more at the same moment`] : []
  return [
    `ALARM ${line}`,
    `  ${first!.checker} at ${(first!.atMs / 1_000).toFixed(3)} s: ${first!.message}`,
    ...others,
    `  again: ${repro}`,
    `  whole: the same line with --trace${about}`,
  ].join('\n')
}

/** The story of an alarm, a page at most. */
export function storyText(entries: readonly TraceEntry[]): string {
  const { first, left, last } = abridged(entries)
  return [
    'what led to it:',
    ...first.map(entryText).map(cut),
    ...(left === 0 ? [] : [`  … ${left} lines (all with --trace) …`]),
    ...last.map(entryText).map(cut),
  ].join('\n')
}
