// Formats and mends what can be mended: biome for code, our own wrap for comments.
// Usage: npm run format [-- PATH …]
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './lib/paths.ts'
import { runCommand } from './lib/slices.ts'
import { listTree, readText } from './lib/tree.ts'
import { wrapComments } from './lib/wrap-rules.ts'

const paths = process.argv.slice(2)
const wanted = (path: string) =>
  paths.length === 0 || paths.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))
const vendored = /^proto\/(google|grpc)\/|\/src\/gen\//

let wrapped = 0
for (const path of listTree()) {
  if (!/\.(ts|mjs|proto)$/.test(path) || vendored.test(path) || !wanted(path)) continue
  const text = readText(path)
  const out = wrapComments(text)
  if (out === text) continue
  writeFileSync(join(ROOT, path), out)
  wrapped += 1
}
console.log(`wrapped comments in ${wrapped} files`)
const { ok } = await runCommand(
  ['biome', 'check', '--write', ...(paths.length ? paths : ['.'])],
  60_000,
)
process.exitCode = ok ? 0 : 1
