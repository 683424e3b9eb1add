/** Left out unless `.saiignore` takes them in again (`!node_modules`). */
const DEFAULT_IGNORES = ['.git', 'node_modules', '.sai', '.tools', '__pycache__', '.venv']

interface Rule {
  readonly pattern: RegExp
  readonly negated: boolean
  readonly directoriesOnly: boolean
}

const literal = (text: string): string => text.replace(/[.+^${}()|[\]\\]/g, '\\$&')

function toPattern(glob: string): RegExp {
  const anchored = glob.includes('/')
  const body = glob
    .replace(/^\//, '')
    .split(/(\*\*\/|\/\*\*$|\*\*|\*|\?)/)
    .map((part) => {
      if (part === '**/') return '(?:.*/)?'
      if (part === '/**') return '/.*'
      if (part === '**') return '.*'
      if (part === '*') return '[^/]*'
      return part === '?' ? '[^/]' : literal(part)
    })
    .join('')
  return new RegExp(`^${anchored ? '' : '(?:.*/)?'}${body}$`)
}

function toRule(line: string): Rule[] {
  const text = line.replace(/\s+$/, '')
  if (text === '' || text.startsWith('#')) return []
  const negated = text.startsWith('!')
  const glob = negated ? text.slice(1) : text
  const directoriesOnly = glob.endsWith('/')
  return [{ pattern: toPattern(glob.replace(/\/$/, '')), negated, directoriesOnly }]
}

/**
 * What to leave out, in the language of `.gitignore`: `*`, `?`, `**`, a leading `/` or an inner one
 * anchors, a trailing one means directories only, `!` takes in again; the last match decides.
 */
export function ignoreRules(text: string): (path: string, isDirectory: boolean) => boolean {
  const rules = [...DEFAULT_IGNORES, ...text.split('\n')].flatMap(toRule)
  return (path, isDirectory) => {
    let ignored = false
    for (const { pattern, negated, directoriesOnly } of rules) {
      if ((!directoriesOnly || isDirectory) && pattern.test(path)) ignored = !negated
    }
    return ignored
  }
}
