/** Stable codes of what can be wrong with a configuration. */
export type ConfigErrorCode =
  | 'CONFIG_FILE_UNREADABLE'
  | 'CONFIG_FILE_SYNTAX'
  | 'CONFIG_UNKNOWN_KEY'
  | 'CONFIG_INVALID_VALUE'
  | 'CONFIG_BAD_FLAG'

/** One thing that is wrong: what, where, how to mend it. */
export interface ConfigProblem {
  readonly code: ConfigErrorCode
  /** Where it was said, for example `flag --port`, `SAI_PORT`, `sai.yaml: port`. */
  readonly where: string
  readonly what: string
  readonly mend: string
}

/** The configuration cannot be used. Lists every problem, not just the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ConfigErrorCode
  readonly problems: readonly ConfigProblem[]
  constructor(problems: readonly [ConfigProblem, ...ConfigProblem[]]) {
    super(problems.map((p) => `${p.code}: ${p.where}: ${p.what}. ${p.mend}.`).join('\n'))
    this.code = problems[0].code
    this.problems = problems
  }
}
