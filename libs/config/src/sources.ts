import { readFileSync } from 'node:fs'
import { parseDocument } from 'yaml'
import type { ConfigProblem } from './error.ts'
import { ENV_PREFIX, type Leaf, nearest, parseText } from './shape.ts'

/** A value together with the place that said it. */
export interface Said {
  readonly path: readonly string[]
  readonly value: unknown
  readonly where: string
}

/** What a source says, and what is wrong with how it says it. */
export interface Source {
  readonly said: readonly Said[]
  readonly problems: readonly ConfigProblem[]
}

const FILE_MAX_BYTES = 1 << 20

function unknownKey(where: string, key: string, known: readonly string[]): ConfigProblem {
  const meant = nearest(key, known)
  const mend = meant === undefined ? `Known: ${known.join(', ')}` : `Did you mean ${meant}?`
  return { code: 'CONFIG_UNKNOWN_KEY', where, what: `unknown key ${key}`, mend }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Values of a nested object, one per leaf of the schema; anything else is an unknown key. */
export function fromObject(object: unknown, leaves: readonly Leaf[], where: string): Source {
  const said: Said[] = []
  const problems: ConfigProblem[] = []
  const byPath = new Map(leaves.map((leaf) => [leaf.path.join('.'), leaf]))
  const groups = new Set(leaves.flatMap((l) => l.path.slice(0, -1).map((_, i) => path(l, i + 1))))
  const walk = (value: unknown, above: readonly string[]) => {
    if (!isRecord(value)) {
      const what = `expected a mapping, found ${JSON.stringify(value)}`
      const place = [where, above.join('.')].filter(Boolean).join(': ')
      problems.push({ code: 'CONFIG_INVALID_VALUE', where: place, what, mend: 'Write key: value' })
      return
    }
    for (const [key, below] of Object.entries(value)) {
      const here = [...above, key]
      const name = here.join('.')
      if (byPath.has(name)) said.push({ path: here, value: below, where: `${where}: ${name}` })
      else if (groups.has(name)) walk(below, here)
      else problems.push(unknownKey(where, name, [...byPath.keys()]))
    }
  }
  walk(object, [])
  return { said, problems }
}

const path = (leaf: Leaf, length: number) => leaf.path.slice(0, length).join('.')

/** A YAML or JSON file. */
export function fromFile(file: string, leaves: readonly Leaf[]): Source {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    const mend = 'Check the path and its permissions'
    return { said: [], problems: [{ code: 'CONFIG_FILE_UNREADABLE', where: file, what, mend }] }
  }
  const syntax = (what: string): Source => ({
    said: [],
    problems: [{ code: 'CONFIG_FILE_SYNTAX', where: file, what, mend: 'Mend the YAML or JSON' }],
  })
  if (text.length > FILE_MAX_BYTES) return syntax(`larger than ${FILE_MAX_BYTES} bytes`)
  const document = parseDocument(text, { uniqueKeys: true })
  const first = document.errors[0]
  if (first !== undefined) return syntax(first.message.split('\n')[0] ?? 'cannot be parsed')
  try {
    // A few aliases are fine; a document that grows by them is not a configuration.
    return fromObject(document.toJS({ maxAliasCount: 50 }) ?? {}, leaves, file)
  } catch (error) {
    return syntax(error instanceof Error ? error.message : String(error))
  }
}

function fromText(leaf: Leaf, text: string, where: string): Said | ConfigProblem {
  const value = parseText(leaf.kind, text)
  if (value !== undefined) return { path: leaf.path, value, where }
  const shown = leaf.secret ? 'the value' : JSON.stringify(text)
  const what = `${shown} is not a ${leaf.kind}`
  return { code: 'CONFIG_INVALID_VALUE', where, what, mend: `Give a ${leaf.kind}` }
}

function collect(items: readonly (Said | ConfigProblem)[]): Source {
  return {
    said: items.filter((item) => 'path' in item),
    problems: items.filter((item) => 'code' in item),
  }
}

/**
 * Variables with the prefix. Unknown ones belong to other processes and are ignored, unless they
 * look like a slip of a known name.
 */
export function fromEnv(
  env: Readonly<Record<string, string | undefined>>,
  leaves: readonly Leaf[],
): Source {
  const byName = new Map(leaves.map((leaf) => [leaf.env, leaf]))
  const names = [...byName.keys()]
  const items = Object.entries(env).flatMap(([name, text]): (Said | ConfigProblem)[] => {
    if (!name.startsWith(ENV_PREFIX) || text === undefined) return []
    const leaf = byName.get(name)
    if (leaf !== undefined) return [fromText(leaf, text, name)]
    return nearest(name, names, 1) === undefined ? [] : [unknownKey('environment', name, names)]
  })
  return collect(items)
}

/** Flags that ask for something else than a value. */
export interface Asked {
  readonly help: boolean
  readonly printConfig: boolean
  readonly file: string | undefined
}

/**
 * `--key value`, `--key=value`, `--flag`, `--no-flag`, `--config FILE`, `--print-config`, `--help`.
 */
export function fromArgv(
  argv: readonly string[],
  leaves: readonly Leaf[],
): Source & { readonly asked: Asked } {
  const byFlag = new Map(leaves.map((leaf) => [leaf.flag, leaf]))
  const known = [...byFlag.keys(), '--config', '--print-config', '--help']
  const items: (Said | ConfigProblem)[] = []
  let asked: Asked = { help: false, printConfig: false, file: undefined }
  const bad = (what: string, mend: string, where = 'flags') =>
    items.push({ code: 'CONFIG_BAD_FLAG', where, what, mend })
  const rest = [...argv]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const cut = word.indexOf('=')
    const flag = cut < 0 ? word : word.slice(0, cut)
    const inline = cut < 0 ? undefined : word.slice(cut + 1)
    const negated = byFlag.get(flag.replace(/^--no-/, '--'))
    const leaf = byFlag.get(flag)
    const value = () => inline ?? rest.shift()
    if (flag === '--help' || flag === '-h') asked = { ...asked, help: true }
    else if (flag === '--print-config') asked = { ...asked, printConfig: true }
    else if (flag === '--config') asked = { ...asked, file: value() }
    else if (leaf?.kind === 'boolean') items.push(fromText(leaf, inline ?? 'true', `flag ${flag}`))
    else if (leaf !== undefined) {
      const text = value()
      if (text === undefined) bad('no value follows', `Write ${flag} VALUE`, `flag ${flag}`)
      else items.push(fromText(leaf, text, `flag ${flag}`))
    } else if (negated?.kind === 'boolean' && inline === undefined) {
      items.push({ path: negated.path, value: false, where: `flag ${flag}` })
    } else if (flag.startsWith('-')) items.push(unknownKey('flags', flag, known))
    else bad(`unexpected argument ${word}`, 'Give settings as --key value')
  }
  return { ...collect(items), asked }
}
