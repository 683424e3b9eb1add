import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Counts, runCommand } from './slices.ts'

/** Outcome of suites. */
export type SpecCounts = Counts & { readonly skipped: number; readonly note: string }

/**
 * Runs vitest with the flags (`--project kafka`; none = what `npm test` runs) and counts. With
 * `yielding` it takes only what others leave of the machine.
 */
export async function runSpecs(
  flags: readonly string[],
  timeoutMs: number,
  yielding = false,
): Promise<SpecCounts> {
  const directory = mkdtempSync(join(tmpdir(), 'sai-specs-'))
  const file = join(directory, 'vitest.json')
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${file}`]
  try {
    const words = ['run', ...flags, ...reporters]
    const { ok } = yielding
      ? await runCommand(['nice', '-n', '19', 'vitest', ...words], timeoutMs)
      : await runCommand(['vitest', ...words], timeoutMs)
    if (!existsSync(file)) {
      return { passed: 0, failed: 1, skipped: 0, note: 'vitest wrote no report' }
    }
    const report = JSON.parse(readFileSync(file, 'utf8'))
    const passed = Number(report.numPassedTests)
    // A suite that cannot be loaded has no failed test, yet vitest ends with an error.
    const failed = Math.max(Number(report.numFailedTests), ok ? 0 : 1)
    const skipped = Number(report.numPendingTests ?? 0) + Number(report.numTodoTests ?? 0)
    const note = `${passed} passed, ${failed} failed, ${skipped} skipped`
    return { passed, failed, skipped, note }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
