// Suites that `npm test` leaves out: `node tools/specs.ts PROJECT [PATH…] [--minutes M] [--seed S]`
// With --minutes the files run in an order of the seed (a fresh one by default) and none begins
// after M minutes: what ran and what did not is printed. The last line is `N passed, N failed`.
// Under CI nothing may be skipped for something that is missing: that is a failure.
import { execFileSync } from 'node:child_process'
import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT, toolEnv } from './lib/paths.ts'
import { shuffled } from './lib/shuffled.ts'
import { runSpecs } from './lib/specs.ts'

const MINUTE_MS = 60_000
/** A run that takes longer hangs: of one file, and of all. */
const FILE_LIMIT_MS = 20 * MINUTE_MS
const LIMIT_MS = 60 * MINUTE_MS

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: 'string' }, seed: { type: 'string' } },
})
const [project, ...paths] = positionals
if (project === undefined) {
  console.error('usage: node tools/specs.ts PROJECT [PATH…] [--minutes M] [--seed S]')
  process.exit(2)
}
const sum = { passed: 0, failed: 0, skipped: 0 }

async function run(files: readonly string[], limitMs: number): Promise<void> {
  const counts = await runSpecs(['--project', project ?? '', ...files], limitMs)
  sum.passed += counts.passed
  sum.failed += counts.failed
  sum.skipped += counts.skipped
}

function filesOf(): readonly string[] {
  const words = ['list', '--project', project ?? '', '--filesOnly', '--json', ...paths]
  const text = execFileSync('vitest', words, { cwd: ROOT, env: toolEnv(), encoding: 'utf8' })
  const files: readonly { readonly file: string }[] = JSON.parse(text.slice(text.indexOf('[')))
  return [...new Set(files.map(({ file }) => relative(ROOT, file)))].sort()
}

async function rotate(minutes: number): Promise<void> {
  const seed = Number(values.seed ?? Date.now() % 1_000_000_007)
  const endMs = performance.now() + minutes * MINUTE_MS
  const files = shuffled(filesOf(), seed)
  const left: string[] = []
  for (const file of files) {
    if (performance.now() >= endMs) left.push(file)
    else await run([file], FILE_LIMIT_MS)
  }
  console.log(`${project}: ${files.length - left.length} of ${files.length} files, seed ${seed}`)
  if (left.length > 0) console.log(`over the share of ${minutes} minutes: ${left.join(', ')}`)
}

if (values.minutes === undefined) await run(paths, LIMIT_MS)
else await rotate(Number(values.minutes))
const missing = process.env['CI'] === 'true' ? sum.skipped : 0
if (missing > 0) console.error(`${missing} specs of ${project} were skipped: CI lets none pass`)
const failed = sum.failed + missing
console.log(`${sum.passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
