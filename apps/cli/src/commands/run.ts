import type { PlatformClient } from '@serverless-ai/client'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { endText, exitOfJob, followJob } from './follow.ts'
import { answer, type CommandScope, jobJson, wholeNumber, withGlobals } from './shared.ts'
import { uploadDirectory } from './workspace.ts'

interface RunOptions extends Globals {
  readonly workers: number
  readonly devices: number
  readonly model?: readonly string[]
  readonly cpu?: string
  readonly memory?: string
  readonly queue?: string
  readonly name?: string
  readonly env?: readonly string[]
  readonly maxRestarts?: number
  readonly exclusive?: boolean
  readonly wait?: boolean
  readonly detach?: boolean
}

const INTERPRETERS = /^(python[\d.]*|node|bash|sh|torchrun|env|uv|run)$/

/** A name from the command: `python3 train.py --lr 1` → `train`. */
function nameOf(command: readonly string[]): string {
  const words = command.map((word) => word.split('/').at(-1) ?? '')
  const script = words.find(
    (word) => word !== '' && !word.startsWith('-') && !INTERPRETERS.test(word),
  )
  const plain = (script ?? words[0] ?? '')
    .replace(/\.[a-z0-9]+$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '')
  return plain === '' ? 'job' : plain
}

function variables(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)]
      throw new CliError('USAGE', `--env takes NAME=VALUE, not "${pair}"`)
    }),
  )
}

async function queueOf(platform: PlatformClient, named: string | undefined): Promise<string> {
  if (named !== undefined) return named
  const request = { pageSize: 1000, pageToken: '', minPosition: '' }
  const { queues } = await platform.queues.listQueues(request)
  const names = queues.flatMap(({ queue }) => (queue === undefined ? [] : [queue.name]))
  const [only, second] = names
  if (only !== undefined && second === undefined) return only
  if (only === undefined) {
    const message =
      'you have no queue: an operator makes one with `sai queue create NAME --tenant TENANT`'
    throw new CliError('NO_QUEUE', message, EXIT.refused)
  }
  throw new CliError('QUEUE_NEEDED', `name a queue with --queue, one of: ${names.join(', ')}`)
}

/** The description that `sai run` submits. */
function manifestOf(init: {
  options: RunOptions
  command: readonly string[]
  queue: string
  workspace: string
}): string {
  const { options, command, queue, workspace } = init
  const { devices, model, cpu, memory, maxRestarts } = options
  const resources = { devices, deviceModels: model, cpu, memory }
  return stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name: options.name ?? nameOf(command) },
    spec: {
      queue,
      tasks: options.workers,
      resources: Object.fromEntries(Object.entries(resources).filter(([, v]) => v !== undefined)),
      command,
      workspace,
      ...(options.env === undefined ? {} : { env: variables(options.env) }),
      ...(maxRestarts === undefined ? {} : { retry: { maxRestarts } }),
      ...(options.exclusive === true ? { exclusive: true } : {}),
      ...(options.wait === true ? { waitForCapacity: true } : {}),
    },
  })
}

/**
 * `sai run python3 train.py --workers 4` would give --workers to the script and run one worker:
 * without `--` an option of `sai run` among the words of the command is refused.
 */
function refuseStrayOptions(command: readonly string[], known: Command, argv: readonly string[]) {
  if (argv.includes('--')) return
  const names = known.options.map(({ long }) => long)
  const stray = command.find((word) => names.includes(word.split('=')[0]))
  if (stray === undefined) return
  throw new CliError(
    'USAGE',
    `${stray} stands after the command and would go to ${command[0]}: write ` +
      '`sai run [options] -- COMMAND [ARGS…]`',
  )
}

async function run(command: readonly string[], options: RunOptions, scope: CommandScope) {
  const { io, checkout, exit } = scope
  const connection = resolveConnection({ globals: options, io, checkout })
  await withPlatform(io, connection, async (platform) => {
    const queue = await queueOf(platform, options.queue)
    const workspace = await uploadDirectory({ platform, io, directory: io.cwd })
    const manifest = manifestOf({ options, command, queue, workspace })
    const { job } = await platform.jobs.submit({ manifest, fileName: 'sai run' })
    const { jobId } = job
    if (options.detach === true) {
      answer(io, options, { json: jobJson(job), text: () => `${jobId}\n` })
      return
    }
    io.err(`── job ${jobId} (${job.name}) in queue ${queue}\n`)
    io.signal.addEventListener('abort', () => {
      io.err(
        `\njob ${jobId} goes on; \`sai job logs --follow ${jobId}\` shows it, ` +
          `\`sai job cancel ${jobId}\` ends it\n`,
      )
    })
    const last = await followJob({ platform, io, jobId, json: options.json === true })
    if (options.json === true) io.out(`${JSON.stringify(jobJson(last))}\n`)
    else io.err(endText(last))
    exit(exitOfJob(last))
  })
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

/** `sai run` */
export function addRun(program: Command, scope: CommandScope): void {
  withGlobals(program.command('run'))
    .description('run a command of the current directory as a job of one or more workers')
    .usage('[options] -- COMMAND [ARGS…]')
    .argument('<command...>', 'program and arguments, after --')
    .option('--workers <n>', 'number of workers', wholeNumber('--workers', 1, 16_384), 1)
    .option('--devices <n>', 'devices of each worker', wholeNumber('--devices', 0, 1024), 1)
    .option('--model <model>', 'device model that will do, * at the end; may be repeated', collect)
    .option('--cpu <amount>', 'CPU of each worker: 500m, 2')
    .option('--memory <amount>', 'memory of each worker: 512Mi, 2Gi')
    .option('--queue <queue>', 'queue; needed when you have several')
    .option('--name <name>', 'name of the job; from the command')
    .option('--env <name=value>', 'variable of the workers; may be repeated', collect)
    .option('--max-restarts <n>', 'restarts after failures', wholeNumber('--max-restarts', 0, 1000))
    .option('--exclusive', 'outside effects: never run two generations at once')
    .option('--wait', 'wait even if the fleet as it is can never hold the job')
    .option('--follow', 'show what happens and the logs until the end (the default)')
    .option('--detach', 'print the job id and leave')
    .passThroughOptions()
    .action((command: readonly string[], options: RunOptions, self: Command) => {
      refuseStrayOptions(command, self, scope.argv)
      return run(command, options, scope)
    })
}
