import type { PlatformClient } from '@serverless-ai/client'
import { Job } from '@serverless-ai/contracts/job/v1/job'
import { type Command, Option } from 'commander'
import type { Globals } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import type { Io } from '../io.ts'

/** What a command is run with. */
export interface CommandScope {
  readonly io: Io
  /** Directory of the product: where a local platform keeps `.sai`. */
  readonly checkout: string
  /** The command line, as typed. */
  readonly argv: readonly string[]
  /** Ends the process with this status. */
  readonly exit: (status: number) => void
}

/** Adds the options that every command has. */
export function withGlobals(command: Command): Command {
  return command
    .option('--json', 'machine-readable output')
    .addOption(new Option('--address <host:port>', 'platform to talk to (SAI_ADDRESS)'))
    .addOption(new Option('--token <token>', 'bearer token (SAI_TOKEN)'))
    .addOption(new Option('--as <context>', 'context of the local platform, for example a tenant'))
    .addOption(new Option('--data <dir>', 'data directory of the local platform (SAI_DATA)'))
}

/** Parses a whole number of an option. */
export function wholeNumber(name: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^-?\d{1,15}$/.test(text) && value >= min && value <= max) return value
    throw new CliError(
      'USAGE',
      `${name} must be a whole number from ${min} to ${max}, not "${text}"`,
    )
  }
}

/** Prints a message as proto3 JSON, or text for people. */
export function answer(
  io: Io,
  globals: Globals,
  init: { json: unknown; text: () => string },
): void {
  io.out(globals.json === true ? `${JSON.stringify(init.json, undefined, 2)}\n` : init.text())
}

/** JSON of a job; numbers of 64 bits are text, as proto3 JSON has it. */
export const jobJson = (job: Job): unknown => Job.toJSON(job)

const FULL_ID = /^j-\d+-[0-9a-f]{12}$/

/**
 * The id of a job from what a person typed: a whole id, the newest job of that name, or a unique
 * beginning of an id.
 */
export async function resolveJobId(platform: PlatformClient, typed: string): Promise<string> {
  if (FULL_ID.test(typed)) return typed
  const starting: string[] = []
  for await (const { jobId, name } of platform.jobs.list()) {
    // Newest first: the first job of that name is the newest one.
    if (name === typed) return jobId
    const random = jobId.split('-')[2] ?? ''
    if (typed !== '' && (jobId.startsWith(typed) || random.startsWith(typed))) starting.push(jobId)
  }
  const [only, second] = starting
  if (only !== undefined && second === undefined) return only
  if (only === undefined) {
    throw new CliError(
      'JOB_NOT_FOUND',
      `there is no job "${typed}": see \`sai job list\``,
      EXIT.notFound,
    )
  }
  const some = starting.slice(0, 5).join(', ')
  throw new CliError('AMBIGUOUS', `"${typed}" is the beginning of ${starting.length} jobs: ${some}`)
}
