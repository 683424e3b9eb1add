// Starts every built main by plain Node on an empty directory and stops it again.
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './lib/paths.ts'
import { startAndStop } from './lib/start-process.ts'

// The node agent dials out and serves nothing; the integration tests start it with a platform.
const without = ['services/node-agent']
const extra: Readonly<Record<string, readonly string[]>> = {
  'apps/all-in-one': ['--no-quickstart'],
}

let passed = 0
let failed = 0
for (const source of globSync('{services/*,apps/all-in-one}/src/main.ts', { cwd: ROOT }).sort()) {
  const name = source.replace('/src/main.ts', '')
  if (without.includes(name)) continue
  const main = join(ROOT, name, 'dist', 'main.js')
  const problem = existsSync(main) ? await startAndStop(main, extra[name] ?? []) : 'is not built'
  console.log(`start ${name}: ${problem === undefined ? 'ok' : `FAILED: ${problem}`}`)
  if (problem === undefined) passed += 1
  else failed += 1
}
if (passed + failed === 0) {
  console.log('start: FAILED: no main found')
  failed = 1
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
