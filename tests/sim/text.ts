import type { RunResult, TraceEntry } from '@serverless-ai/sim'

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

/** Entries before an alarm that are printed with it. */
const LAST = 25

/** What came of a run, for people: one line, and a page when something is wrong. */
export function summaryOf(result: RunResult, repro: string): string {
  const { scenario, seed, alarms, hash, simMs, commits, leaderChanges, tasksStarted } = result
  const faults = Object.values(result.faults).reduce((sum, one) => sum + one, 0)
  const line =
    `${scenario} seed ${seed}: ${(simMs / 60_000).toFixed(1)} min, ${commits} commits, ` +
    `${leaderChanges} claims, ${tasksStarted} tasks, ${faults} faults, hash ${hash.slice(0, 16)}`
  if (alarms.length === 0) return `ok    ${line}`
  const [first] = alarms
  const about = first!.about === '' ? '' : ` --about ${first!.about}`
  return [
    `ALARM ${line}`,
    ...alarms.slice(0, 3).map(({ checker, atMs, message }) => {
      return `  ${checker} at ${(atMs / 1_000).toFixed(3)} s: ${message}`
    }),
    `  the last happenings before it:`,
    ...result.last.slice(-LAST).map((entry) => `  ${entryText(entry)}`),
    `  again: ${repro}`,
    `  its story: the same line with --trace${about}`,
  ].join('\n')
}
