// Checks the house rules that no linter knows; see lib/tidy-rules.ts.
import { tidyFile, tidyTree } from './lib/tidy-rules.ts'
import { listTree, readText } from './lib/tree.ts'

const paths = listTree()
const text = /\.(ts|tsx|mjs|js|sh|proto|md|json|ya?ml)$|(^|\/)(run|sai)$/
const problems = [
  ...paths.filter((path) => text.test(path)).flatMap((path) => tidyFile(path, readText(path))),
  ...tidyTree(paths),
]
for (const { path, line, severity, message } of problems) {
  console.log(`${path}:${line}: ${severity}: ${message}`)
}
const errors = problems.filter((problem) => problem.severity === 'error').length
console.log(`tidy: ${paths.length} files, ${errors} errors, ${problems.length - errors} warnings`)
process.exitCode = errors === 0 ? 0 : 1
