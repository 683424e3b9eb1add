import { ConfigError } from '@serverless-ai/config'
import { RpcError } from '@serverless-ai/kernel'
import { Command, CommanderError } from 'commander'
import { addCerts } from './commands/certs.ts'
import { addFleet } from './commands/fleet.ts'
import { addJob } from './commands/job.ts'
import { addLevel } from './commands/level.ts'
import { addProfile } from './commands/profile.ts'
import { addRun } from './commands/run.ts'
import { addScaling } from './commands/scaling.ts'
import { type CommandScope, withGlobals } from './commands/shared.ts'
import { addSlo } from './commands/slo.ts'
import { addStatus } from './commands/status.ts'
import { addTopics } from './commands/topics.ts'
import { addLog } from './commands/void.ts'
import { addWorkspace } from './commands/workspace.ts'
import { CliError, EXIT, exitOf } from './exit.ts'
import type { Io } from './io.ts'
import { plain } from './output/text.ts'

export const VERSION = '0.2.0'

const AFTER_HELP = `
Exit status: 0 done; 1 the job failed or was cancelled, the platform is degraded, topics are not as
planned; 2 usage;
3 refused; 4 not found; 5 nobody answers; 130 interrupted (a followed job goes on).`

function programOf(scope: CommandScope): Command {
  const { io } = scope
  const program = new Command('sai')
    .description('serverless-ai: run, follow and explain jobs on a shared fleet of accelerators')
    .version(VERSION, '--version', 'print the version')
    .enablePositionalOptions()
    .showHelpAfterError('(see --help)')
    .addHelpText('after', AFTER_HELP)
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
  withGlobals(program).hook('preAction', (_, action) => {
    // `sai --as b job list` is `sai job list --as b`; what stands nearer to the command counts.
    for (const [name, value] of Object.entries(program.opts())) {
      if (action.getOptionValueSource(name) !== 'cli') action.setOptionValue(name, value)
    }
  })
  addRun(program, scope)
  addJob(program, scope)
  addFleet(program, scope)
  addSlo(program, scope)
  addScaling(program, scope)
  addProfile(program, scope)
  addStatus(program, scope)
  addWorkspace(program, scope)
  const admin = program.command('admin').description('the work of operators')
  addCerts(admin, scope)
  addTopics(admin, scope)
  addLevel(admin, scope)
  addLog(admin, scope)
  program
    .command('version')
    .description('print the version')
    .option('--json', 'machine-readable output')
    .action(({ json }: { json?: boolean }) => {
      io.out(json === true ? `${JSON.stringify({ version: VERSION })}\n` : `sai ${VERSION}\n`)
    })
  return program
}

/** `sai logs` → `sai job logs`: the group that was left out. */
function missingGroup(program: Command, argv: readonly string[]): string | undefined {
  for (const group of program.commands) {
    const found = group.commands.find((known) => argv.includes(known.name()))
    if (found !== undefined) return `sai ${group.name()} ${found.name()}`
  }
  return undefined
}

/** How to go on after a refusal, where the command line is the place to. */
function mendsOf({ code, reason }: RpcError): string[] {
  if (code === 'UNAVAILABLE') return ['  is the platform running? Start it with `npm start`']
  if (reason === 'UNKNOWN_QUEUE') {
    return [
      '  `sai queue list` shows yours; --as NAME acts for another tenant;',
      '  an operator makes one with `sai queue create NAME --tenant TENANT`',
    ]
  }
  if (reason !== 'NO_MATCHING_NODE') return []
  return ['  ask for less (`sai node list` shows what is there), or --wait for nodes to come']
}

/** The message with its code behind the first line, as refusals of the platform have it. */
function coded({ message, reason }: CliError): string {
  const [first = '', ...more] = message.split('\n')
  return [`${first} [${reason}]`, ...more].join('\n')
}

/** What went wrong, for people: the sentence, each field, how to go on. */
function errorText(error: unknown): string {
  if (error instanceof ConfigError) return `sai: ${error.message}\n`
  if (error instanceof CliError) return `sai: ${coded(error)}\n`
  if (!(error instanceof RpcError)) {
    const where = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return `sai: a bug: ${where}\n`
  }
  const { message, reason, violations, metadata } = error
  // The message of a description names its first problem only: here they are all listed.
  const told =
    reason === 'INVALID_SPEC' && violations.length > 0
      ? `${metadata.file ?? 'the description'} cannot be used`
      : message.replace(`${reason}: `, '')
  const fields = violations.map(({ field, description }) => `  ${field}: ${description}`)
  return plain([`sai: ${told} [${reason}]`, ...fields, ...mendsOf(error)].join('\n')).concat('\n')
}

function reasonOf(error: unknown): string {
  if (error instanceof CliError || error instanceof RpcError) return error.reason
  return error instanceof ConfigError ? error.code : 'INTERNAL'
}

function errorJson(error: unknown): string {
  const known = error instanceof RpcError ? error : undefined
  const reason = reasonOf(error)
  const message = error instanceof Error ? error.message : String(error)
  const { code, metadata, violations } = known ?? {}
  return `${JSON.stringify({ error: { reason, message, code, metadata, violations } })}\n`
}

/**
 * Runs one command line.
 *
 * @param argv arguments without the program's own name
 * @returns the exit status
 */
export async function runCli(argv: readonly string[], io: Io, checkout: string): Promise<number> {
  let status: number = EXIT.ok
  const exit = (wanted: number) => {
    status = wanted
  }
  const program = programOf({ io, checkout, argv, exit })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return io.signal.aborted ? EXIT.interrupted : status
  } catch (error) {
    if (io.signal.aborted) return EXIT.interrupted
    // Help and usage: the library has printed what there is to say.
    if (error instanceof CommanderError) {
      const meant = missingGroup(program, argv)
      if (error.code === 'commander.unknownCommand' && meant !== undefined) {
        io.err(`(Did you mean \`${meant}\`?)\n`)
      }
      return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    }
    const before = argv.indexOf('--') < 0 ? argv : argv.slice(0, argv.indexOf('--'))
    io.err(before.includes('--json') ? errorJson(error) : errorText(error))
    return error instanceof ConfigError ? EXIT.usage : exitOf(error)
  }
}
