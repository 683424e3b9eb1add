// What `npm test` runs, step by step. The last line is `N passed, N failed`.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EVENTS_DOCS } from './lib/events/generate-events.ts'
import { generate } from './lib/generate.ts'
import { ROOT } from './lib/paths.ts'
import { type Counts, parseCounts, runCommand } from './lib/slices.ts'
import { runSpecs } from './lib/specs.ts'

type Result = Counts & { readonly note?: string }
type Step = { readonly name: string; readonly run: () => Promise<Result> }

const MINUTE_MS = 60_000
const BASELINE = 'proto/baseline.binpb'
/** Scenarios of the step `simulator`. */
const SIMULATED = ['chaos', 'leaders', 'nodes', 'storage', 'away', 'takeover', 'calm']
const GEN = 'libs/contracts/src/gen'
const scratch = mkdtempSync(join(tmpdir(), 'sai-verify-'))

/** A step that passes or fails as a whole. */
async function whole(...command: [string, ...string[]]): Promise<Result> {
  const { ok } = await runCommand(command, 3 * MINUTE_MS)
  return ok ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

async function breaking(): Promise<Result> {
  if (!existsSync(join(ROOT, BASELINE))) {
    return { passed: 0, failed: 0, note: `skipped: no ${BASELINE} yet` }
  }
  return whole('buf', 'breaking', '--against', BASELINE)
}

/** Regenerates everything elsewhere and compares: protos, code and documents never drift. */
async function generated(): Promise<Result> {
  generate(scratch)
  const results = []
  for (const folder of [GEN, EVENTS_DOCS]) {
    results.push(await whole('diff', '-rq', join(scratch, folder), join(ROOT, folder)))
  }
  const failed = results.filter((result) => result.failed > 0).length
  return { passed: results.length - failed, failed }
}

const specs =
  (project: string, yielding = false) =>
  () =>
    runSpecs(['--project', project], 10 * MINUTE_MS, yielding)

async function starts(): Promise<Result> {
  const command = [process.execPath, join(ROOT, 'tools/start-check.ts')] as const
  const { ok, output } = await runCommand(command, 3 * MINUTE_MS)
  const counts = parseCounts(output)
  return counts !== undefined && ok === (counts.failed === 0) ? counts : { passed: 0, failed: 1 }
}

/**
 * Fresh seeds of the simulator, for two minutes: before the specs that compute, which take as long
 * as they take.
 */
async function simulates(): Promise<Result> {
  const main = join(ROOT, 'tests/dist/sim/main.js')
  const flags = ['--scenario', SIMULATED.join(','), '--minutes', '2', '--workers', '1']
  const command = ['nice', '-n', '10', process.execPath, main, ...flags] as const
  const { ok, output } = await runCommand(command, 5 * MINUTE_MS)
  const counts = parseCounts(output)
  if (counts === undefined || ok !== (counts.failed === 0)) return { passed: 0, failed: 1 }
  return { ...counts, note: `${counts.passed + counts.failed} runs on fresh seeds` }
}

/** Steps one after the other; those of one row at the same time. */
const rows: readonly (readonly Step[])[] = [
  [
    { name: 'build', run: () => whole('tsc', '-b') },
    { name: 'format and lint', run: () => whole('biome', 'ci', '.') },
    { name: 'tidy', run: () => whole(process.execPath, join(ROOT, 'tools/tidy.ts')) },
    { name: 'proto lint', run: () => whole('buf', 'lint') },
    { name: 'proto breaking changes', run: breaking },
    // It starts nothing that others could run beside.
    { name: 'generated code up to date', run: generated },
  ],
  // Real processes wait much of the time: those of platforms and those of single packages are two
  // lanes, one file at a time each. What only computes takes what they leave of the machine.
  [
    { name: 'specs of platforms', run: specs('e2e') },
    { name: 'specs of processes', run: specs('int') },
    { name: 'start of every main', run: starts },
    { name: 'specs', run: specs('unit', true) },
    { name: 'specs that compute', run: specs('sim', true) },
    { name: 'simulator', run: simulates },
  ],
]

type Outcome = Result & { readonly line: string }

async function runStep({ name, run }: Step): Promise<Outcome> {
  console.log(`\n=== ${name}`)
  const startedMs = performance.now()
  const result = await run().catch((error: unknown): Result => {
    return { passed: 0, failed: 1, note: error instanceof Error ? error.message : String(error) }
  })
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)
  const mark = result.failed === 0 ? 'ok    ' : 'FAILED'
  const line = `${mark} ${seconds} s  ${name}${result.note ? ` (${result.note})` : ''}`
  return { ...result, line }
}

async function main(): Promise<number> {
  const outcomes: Outcome[] = []
  for (const row of rows) outcomes.push(...(await Promise.all(row.map(runStep))))
  const sum = (of: (outcome: Outcome) => number): number =>
    outcomes.reduce((all, outcome) => all + of(outcome), 0)
  const failed = sum((outcome) => outcome.failed)
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT }).toString()
  const lines = outcomes.map(({ line }) => line).join('\n')
  console.log(`\nnode ${process.versions.node}, commit ${commit.trim()}\n${lines}`)
  console.log(`${sum(({ passed }) => passed)} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
