// The house rules that no linter checks, as pure functions over (path, text).

/** One broken rule. `warning` is printed and never fails the build. */
export type Problem = {
  readonly path: string
  readonly line: number
  readonly severity: 'error' | 'warning'
  readonly message: string
}

const WARN_LINES = 300
const MAX_LINES = 600
const MAIN_MAX_LINES = 60
const MAX_COLUMNS = 100

const CODE = /\.(ts|tsx|mjs|js|sh|proto)$/
const TEXT = /\.(ts|tsx|mjs|js|sh|proto|md|json|yaml|yml)$|(^|\/)(run|sai)$/
const SPEC = /\.spec\.ts$|^tests\//
const CORE = /(^|\/)src\/core\//
const VENDORED = /^proto\/(google|grpc)\/|\/src\/gen\/|(^|\/)results\/|(^|\/)golden\/\d/
const ENV_ALLOWED = /^(libs\/config|tools|examples|tests)\/|\.config\.ts$|\.spec\.ts$/

type LineRule = {
  readonly applies: (path: string) => boolean
  readonly pattern: RegExp
  readonly message: string
}

// Split so that this file does not trip over its own words.
const UNFINISHED = ['TO' + 'DO', 'FIX' + 'ME', 'not ' + 'implemented', 'un' + 'implemented yet']

const LINE_RULES: readonly LineRule[] = [
  {
    applies: (path) => CORE.test(path) && !SPEC.test(path),
    pattern: /\b(Date\.now|new Date\b|Math\.random|randomUUID|setTimeout|setInterval|process\.)/,
    message: 'a core takes time, chance and environment as inputs',
  },
  {
    applies: (path) => CORE.test(path) && !SPEC.test(path),
    pattern: /\bMath\.(exp|log|log2|log10|pow|sin|cos|tan|sqrt|cbrt|hypot)\b|[\w)\]]\s*\*\*/,
    message:
      'floating-point functions differ between machines; use the portable maths of the kernel',
  },
  {
    applies: (path) => /\.ts$/.test(path) && !ENV_ALLOWED.test(path),
    pattern: /\bprocess\.env\b/,
    message: 'the environment is read by libs/config alone',
  },
  {
    applies: (path) => /\.ts$/.test(path),
    pattern: /\bas unknown as\b/,
    message: 'a double cast hides a wrong type',
  },
  {
    applies: (path) => /\.ts$/.test(path),
    pattern: /\bfrom '\.[^']*\.js'/,
    message: 'imports inside a package end in .ts',
  },
  {
    applies: (path) => TEXT.test(path),
    pattern: new RegExp(`\\b(${UNFINISHED.join('|')})\\b`, 'i'),
    message: 'unfinished work does not belong in the tree',
  },
  {
    applies: (path) => TEXT.test(path),
    pattern: /(^|[\s"'`(=])\/(root|work|home\/[a-z]\w*)\//,
    message: 'a path of one machine',
  },
  {
    applies: (path) => TEXT.test(path),
    pattern: /https?:\/\/(?!127\.)\d+\.\d+\.\d+\.\d+|https?:\/\/\S*\b(registry|mirror)\b\S*\.\w/,
    message: 'an address of one network',
  },
  {
    applies: (path) => path === 'pnpm-lock.yaml',
    pattern: /https?:\/\/|\btarball:/,
    message: 'the lock file names no host',
  },
]

function sizeProblems(path: string, lines: readonly string[]): Problem[] {
  if (!CODE.test(path)) return []
  const count = lines.length
  const at = (severity: Problem['severity'], message: string): Problem[] => [
    { path, line: count, severity, message },
  ]
  if (count > MAX_LINES) return at('error', `${count} lines; the maximum is ${MAX_LINES}`)
  if (/(^|\/)src\/main\.ts$/.test(path) && count > MAIN_MAX_LINES) {
    return at('error', `${count} lines; a main has at most ${MAIN_MAX_LINES}`)
  }
  if (count > WARN_LINES) return at('warning', `${count} lines; aim for ${WARN_LINES}`)
  return []
}

/** All problems of one file. `path` is relative to the repository, with forward slashes. */
export function tidyFile(path: string, text: string): Problem[] {
  if (VENDORED.test(path)) return []
  const lines = text.replace(/\n$/, '').split('\n')
  const problems = sizeProblems(path, lines)
  const rules = LINE_RULES.filter((rule) => rule.applies(path))
  lines.forEach((content, index) => {
    const problem = (message: string) =>
      problems.push({ path, line: index + 1, severity: 'error', message })
    const tooWide = content.length > MAX_COLUMNS && !/https?:\/\//.test(content)
    if (CODE.test(path) && tooWide) problem(`${content.length} columns; at most ${MAX_COLUMNS}`)
    for (const rule of rules) if (rule.pattern.test(content)) problem(rule.message)
  })
  return problems
}

/** Every folder with a package.json, the root aside, has a README.md. */
export function tidyTree(paths: readonly string[]): Problem[] {
  const known = new Set(paths)
  return paths
    .filter((path) => path.endsWith('/package.json'))
    .map((path) => path.replace(/package\.json$/, 'README.md'))
    .filter((readme) => !known.has(readme))
    .map((path) => ({ path, line: 1, severity: 'error', message: 'a package has a README' }))
}
