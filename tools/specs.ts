// Suites that `npm test` leaves out: `node tools/specs.ts kafka [PATH…]`. The last line is
// `N passed, N failed`. Under CI nothing may be skipped: what is missing there is a failure.
import { runSpecs } from './lib/specs.ts'

const LIMIT_MS = 20 * 60_000

const [project, ...paths] = process.argv.slice(2)
if (project === undefined) {
  console.error('usage: node tools/specs.ts PROJECT [PATH…]')
  process.exit(2)
}
const { passed, failed, skipped } = await runSpecs(['--project', project, ...paths], LIMIT_MS)
const missing = process.env['CI'] === 'true' ? skipped : 0
if (missing > 0)
  console.error(`${missing} specs of ${project} were skipped, which CI does not let pass`)
console.log(`${passed} passed, ${failed + missing} failed`)
process.exitCode = failed + missing === 0 ? 0 : 1
