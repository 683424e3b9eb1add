import type { z } from 'zod'
import { ConfigError } from './error.ts'
import {
  asksHelp,
  type ConfigSources,
  type DeepReadonly,
  helpText,
  loadWithFlags,
  printConfig,
} from './load.ts'
import type { ConfigSchema } from './shape.ts'

/** Exit status of a process with an unusable configuration (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78

/** The environment and the arguments of this process. The only read of either in the product. */
export function processInput(): {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly argv: readonly string[]
} {
  return { env: process.env, argv: process.argv.slice(2) }
}

/**
 * For a main: loads the configuration of this process, or ends it. Prints problems to standard
 * error and ends with 78; prints and ends with 0 for `--help` and `--print-config`. `aliases` are
 * short names of flags (`{ '--kafka': '--kafka.brokers' }`).
 */
export function loadConfigOrExit<S extends ConfigSchema>(
  program: string,
  schema: S,
  sources: Pick<ConfigSources, 'defaults' | 'file'> & {
    readonly aliases?: Readonly<Record<string, string>>
  } = {},
): DeepReadonly<z.output<S>> {
  const { aliases = {}, ...others } = sources
  const given = processInput()
  const input = { ...given, argv: given.argv.map((word) => unabbreviated(word, aliases)) }
  if (asksHelp(input.argv)) {
    process.stdout.write(`${helpText(program, schema)}\n`)
    process.exit(0)
  }
  try {
    const { config, printConfig: asked } = loadWithFlags(schema, { ...others, ...input })
    if (!asked) return config
    process.stdout.write(`${printConfig(schema, config)}\n`)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(EXIT_CONFIG)
  }
}

/** A flag under its full name; any other word as it is. */
function unabbreviated(word: string, aliases: Readonly<Record<string, string>>): string {
  const [flag = '', ...value] = word.split('=')
  const full = Object.hasOwn(aliases, flag) ? aliases[flag] : undefined
  return full === undefined ? word : [full, ...value].join('=')
}
