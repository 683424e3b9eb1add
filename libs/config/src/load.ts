import { z } from 'zod'
import { ConfigError, type ConfigProblem } from './error.ts'
import { type ConfigSchema, type Leaf, leavesOf } from './shape.ts'
import { fromArgv, fromEnv, fromFile, fromObject, type Said } from './sources.ts'

/** Where values come from; later ones win: defaults, file, environment, flags. */
export interface ConfigSources {
  /** Values of the program, stronger than the defaults of the schema. */
  readonly defaults?: Readonly<Record<string, unknown>>
  /** YAML or JSON file; `--config FILE` replaces it. */
  readonly file?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Flags without the program's own name. */
  readonly argv?: readonly string[]
}

/** Everything below is readonly, as `Object.freeze` makes it. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

/** A secret string: printed as `***`, by reference only in files where possible. */
export function secret(): z.ZodString {
  return z.string().meta({ secret: true })
}

function deepFreeze<T>(value: T): DeepReadonly<T>
function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const below of Object.values(value)) deepFreeze(below)
  return Object.freeze(value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function assemble(said: readonly Said[]): {
  readonly values: Record<string, unknown>
  readonly places: ReadonlyMap<string, string>
} {
  const values: Record<string, unknown> = {}
  const places = new Map<string, string>()
  for (const { path, value, where } of said) {
    let target = values
    for (const key of path.slice(0, -1)) {
      const below = target[key]
      const next: Record<string, unknown> = isRecord(below) ? below : {}
      target[key] = next
      target = next
    }
    target[path.at(-1) ?? ''] = value
    places.set(path.join('.'), where)
  }
  return { values, places }
}

function invalid(issue: z.core.$ZodIssue, places: ReadonlyMap<string, string>): ConfigProblem {
  const path = issue.path.map(String)
  const key = path.join('.')
  // A wrong item of a list was said where the list was.
  const place = path
    .map((_, i) => places.get(path.slice(0, path.length - i).join('.')))
    .find(Boolean)
  const where = place ?? `key ${key}`
  const mend = place === undefined ? `Set ${key}` : 'Mend the value or leave the key out'
  return { code: 'CONFIG_INVALID_VALUE', where, what: issue.message, mend }
}

/** A loaded configuration and what else was asked for on the command line. */
export interface Loaded<T> {
  readonly config: DeepReadonly<T>
  readonly printConfig: boolean
}

/** The keys of a schema with flag, variable and description. */
export function describeKeys(schema: ConfigSchema): readonly Leaf[] {
  return leavesOf(schema, z.globalRegistry)
}

/** True when the arguments ask for help. */
export function asksHelp(argv: readonly string[]): boolean {
  return argv.includes('--help') || argv.includes('-h')
}

/** Like {@link loadConfig}, and says whether `--print-config` was given. */
export function loadWithFlags<S extends ConfigSchema>(
  schema: S,
  sources: ConfigSources,
): Loaded<z.output<S>> {
  const leaves = describeKeys(schema)
  const flags = fromArgv(sources.argv ?? [], leaves)
  const file = flags.asked.file ?? sources.file
  const all = [
    fromObject(sources.defaults ?? {}, leaves, 'defaults'),
    ...(file === undefined ? [] : [fromFile(file, leaves)]),
    fromEnv(sources.env ?? {}, leaves),
    flags,
  ]
  const [problem, ...more] = all.flatMap((source) => source.problems)
  if (problem !== undefined) throw new ConfigError([problem, ...more])
  const { values, places } = assemble(all.flatMap((source) => source.said))
  // A group of keys none of which was said still gets its own defaults.
  for (const leaf of leaves) fillGroups(values, leaf.path)
  const parsed = schema.safeParse(values)
  if (parsed.success) {
    return { config: deepFreeze(parsed.data), printConfig: flags.asked.printConfig }
  }
  const [issue, ...others] = parsed.error.issues.map((found) => invalid(found, places))
  if (issue === undefined) throw parsed.error
  throw new ConfigError([issue, ...others])
}

function fillGroups(values: Record<string, unknown>, path: readonly string[]): void {
  let target = values
  for (const key of path.slice(0, -1)) {
    const below = target[key] ?? {}
    if (!isRecord(below)) return
    target[key] = below
    target = below
  }
}

/**
 * Loads, validates and freezes a configuration: defaults, then file, then environment (`SAI_…`),
 * then flags.
 *
 * @param schema a zod object; nested objects become `--a.b` and `SAI_A__B`.
 * @throws {ConfigError} naming every problem: what, where, how to mend it.
 */
export function loadConfig<S extends ConfigSchema>(
  schema: S,
  sources: ConfigSources,
): DeepReadonly<z.output<S>> {
  return loadWithFlags(schema, sources).config
}

/** The configuration as text, secrets masked. */
export function printConfig(schema: ConfigSchema, config: unknown): string {
  const secrets = new Set(describeKeys(schema).flatMap((l) => (l.secret ? [l.path.join('.')] : [])))
  const mask = (value: unknown, path: string): unknown => {
    if (secrets.has(path)) return value === undefined ? undefined : '***'
    if (!isRecord(value)) return value
    const entries = Object.entries(value)
    return Object.fromEntries(
      entries.map(([key, below]) => [key, mask(below, path === '' ? key : `${path}.${key}`)]),
    )
  }
  return JSON.stringify(mask(config, ''), undefined, 2)
}

/** Help text: one line per key. */
export function helpText(program: string, schema: ConfigSchema): string {
  const rows = describeKeys(schema).map((leaf) => {
    const flag = leaf.kind === 'boolean' ? leaf.flag : `${leaf.flag} ${leaf.kind.toUpperCase()}`
    return `  ${flag.padEnd(34)} ${leaf.description} [${leaf.env}]`
  })
  const fixed = [
    `  ${'--config FILE'.padEnd(34)} YAML or JSON file with these keys`,
    `  ${'--print-config'.padEnd(34)} print the resulting configuration and end`,
  ]
  return [`Usage: ${program} [--key value …]`, '', ...rows, ...fixed].join('\n')
}
