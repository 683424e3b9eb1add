import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type NodeConfig, parseNodeConfig } from '../../core/config.ts'
import { messageOf } from '../../core/errors.ts'

/** Exit status of a process with an unusable configuration (EX_CONFIG of sysexits.h). */
export const EXIT_CONFIG = 78

/** The configuration cannot be used; the message names every problem. */
export class NodeConfigError extends Error {
  override readonly name = 'NodeConfigError'
}

/**
 * Reads the configuration of a node from its JSON file.
 *
 * @throws {NodeConfigError} what is wrong, where, how to mend it.
 */
export function readNodeConfig(file: string): NodeConfig {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new NodeConfigError(`CONFIG_FILE_UNREADABLE: ${file}: ${messageOf(error)}`)
  }
  const parsed = parseNodeConfig(value, dirname(process.execPath))
  if (parsed.ok) return parsed.config
  const list = parsed.problems.map((problem) => `  ${problem}`).join('\n')
  throw new NodeConfigError(`CONFIG_INVALID: ${file}:\n${list}`)
}

/** The file named by `--config FILE`. @throws {NodeConfigError} when it is not named */
export function configFileOf(argv: readonly string[]): string {
  const at = argv.indexOf('--config')
  const file = argv[at + 1]
  if (at >= 0 && file !== undefined && argv.length === 2) return file
  throw new NodeConfigError('CONFIG_MISSING: usage: --config FILE (JSON)')
}
