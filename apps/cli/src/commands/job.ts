import { resolve } from 'node:path'
import { isFinished, type PlatformClient } from '@serverless-ai/client'
import { ExplainJobResponse, type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { CliError } from '../exit.ts'
import { progressText, scaleText, shape, stateWord } from '../output/states.ts'
import { age, plain, shortened, table } from '../output/text.ts'
import { factsOf } from '../why/reason.ts'
import { storyText } from '../why/story.ts'
import { readDescription, withWorkspace } from './description.ts'
import { changeText, endText, exitOfJob, followJob, hasLogs } from './follow.ts'
import { followLogs, patienceOf } from './follow-logs.ts'
import { jobText } from './job-text.ts'
import { LogPrinter } from './log-printer.ts'
import { type ScaleOptions, scaleJob, wantedOf } from './scale.ts'
import {
  answer,
  type CommandScope,
  jobJson,
  resolveJobId,
  wholeNumber,
  withGlobals,
} from './shared.ts'
import { type UpdateOptions, updateJob } from './update.ts'
import { uploadDirectory } from './workspace.ts'

type Work<O> = (platform: PlatformClient, options: O, jobId: string) => Promise<void>

/** A command over a platform; `typed` names a job where the command has one. */
function onJob<O extends Globals>(scope: CommandScope, work: Work<O>) {
  return async (typed: string, options: O): Promise<void> => {
    const { io, checkout } = scope
    const connection = resolveConnection({ globals: options, io, checkout })
    await withPlatform(io, connection, async (platform) => {
      await work(platform, options, await resolveJobId(platform, typed))
    })
  }
}

interface SubmitOptions extends Globals {
  readonly tenant?: string
  readonly dryRun?: boolean
  readonly workspace?: string
  readonly follow?: boolean
}

async function submit(file: string, options: SubmitOptions, scope: CommandScope): Promise<void> {
  const { io, checkout, exit } = scope
  const { manifest, fileName } = await readDescription(file, io)
  const connection = resolveConnection({ globals: options, io, checkout })
  await withPlatform(io, connection, async (platform) => {
    const common = {
      fileName,
      ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
    }
    const validateOnly = options.dryRun === true
    let wanted = manifest
    if (options.workspace !== undefined) {
      // As written first: the places that a refusal names are those of the file.
      await platform.jobs.submit({ ...common, manifest, validateOnly: true })
      const directory = resolve(io.cwd, options.workspace)
      wanted = withWorkspace(manifest, await uploadDirectory({ platform, io, directory }))
    }
    const { job } = await platform.jobs.submit({ ...common, manifest: wanted, validateOnly })
    const text = () => (options.dryRun === true ? job.manifest : `${job.jobId}\n`)
    answer(io, options, { json: jobJson(job), text })
    if (options.follow !== true || options.dryRun === true) return
    const last = await followJob({
      platform,
      io,
      jobId: job.jobId,
      json: options.json === true,
    })
    if (options.json !== true) io.err(endText(last))
    exit(exitOfJob(last))
  })
}

interface ListOptions extends Globals {
  readonly queue?: string
  readonly state?: readonly string[]
  readonly limit: number
}

function statesOf(names: readonly string[]): Job_State[] {
  const known = Object.entries(Job_State)
  return names.map((name) => {
    const found = known.find(([key]) => key === name.toUpperCase())
    if (found !== undefined && found[1] > 0) return found[1]
    const words = known.flatMap(([, value]) => (value > 0 ? [stateWord(value)] : []))
    throw new CliError('USAGE', `--state knows ${words.join(', ')}, not "${name}"`)
  })
}

async function list(options: ListOptions, { io, checkout }: CommandScope): Promise<void> {
  const states = statesOf(options.state ?? [])
  const connection = resolveConnection({ globals: options, io, checkout })
  await withPlatform(io, connection, async (platform) => {
    const jobs: Job[] = []
    const { queue } = options
    for await (const job of platform.jobs.list({
      states,
      ...(queue === undefined ? {} : { queue }),
    })) {
      jobs.push(job)
      if (jobs.length >= options.limit) break
    }
    const row = (job: Job) => [
      job.jobId,
      plain(job.name),
      job.queue,
      stateWord(job.state),
      shape(job),
      job.generation === 0 ? '-' : String(job.generation),
      shortened([scaleText(job), detailOf(job)].filter((part) => part !== '').join(', ')),
      age(job.submittedMs, io.clock.wallMs()),
    ]
    const heading = ['JOB', 'NAME', 'QUEUE', 'STATE', 'TASKS×DEVICES', 'GEN', 'DETAIL', 'AGE']
    const text = () => (jobs.length === 0 ? 'no jobs\n' : table([heading, ...jobs.map(row)]))
    answer(io, options, { json: { jobs: jobs.map(jobJson) }, text })
  })
}

const detailOf = (job: Job): string =>
  factsOf(job.reason)?.code ?? plain(progressText(job) || (job.scale ? '' : job.message))

interface LogOptions extends Globals {
  readonly rank?: number
  readonly generation: number
  readonly tail: number
  readonly follow?: boolean
}

async function logs(
  platform: PlatformClient,
  options: LogOptions,
  init: { jobId: string; scope: CommandScope },
): Promise<void> {
  const { jobId, scope } = init
  const { io } = scope
  const { rank, generation, tail: tailLines, follow = false, json } = options
  let job = await platform.jobs.get(jobId)
  const printer = new LogPrinter(io, { prefix: job.tasks > 1 && rank === undefined })
  const print = (chunk: ReadLogsResponse) => {
    if (json !== true) printer.print(chunk)
    else io.out(`${JSON.stringify({ ...chunk, data: chunk.data.toString('utf8') })}\n`)
  }
  const request = { jobId, generation, tailLines, ...(rank === undefined ? {} : { rank }) }
  const { signal } = io
  if (!follow) {
    for await (const chunk of platform.jobs.logs({ ...request, signal })) print(chunk)
  } else {
    for await (const now of platform.jobs.watch(jobId, { signal, ...patienceOf(io) })) {
      job = now
      if (hasLogs(job)) break
    }
    const ended = () => isFinished(job)
    if (hasLogs(job)) {
      await followLogs({ platform, io, request, print, signal, ended, alone: true })
    }
  }
  printer.end()
}

async function watch(
  platform: PlatformClient,
  options: Globals,
  init: { jobId: string; scope: CommandScope },
) {
  const { io, exit } = init.scope
  let told = ''
  for await (const job of platform.jobs.watch(init.jobId, {
    signal: io.signal,
    ...patienceOf(io),
  })) {
    if (options.json === true) {
      io.out(`${JSON.stringify(jobJson(job))}\n`)
    } else {
      const text = [changeText(job) || stateWord(job.state), plain(progressText(job))]
        .filter((part) => part !== '')
        .join(', ')
      if (text !== told) io.out(`${text}\n`)
      told = text
    }
    exit(exitOfJob(job))
  }
}

const ABOUT_JOB = 'job id, unique beginning of one, or name (the newest job of that name)'

type Add = (usage: string, about: string) => Command

function addSubmitAndList(add: Add, scope: CommandScope): void {
  add('submit', 'submit a description (YAML or JSON)')
    .argument('<file>', 'file, or - for standard input')
    .option('--tenant <tenant>', 'tenant to submit for (operators)')
    .option(
      '--dry-run',
      'check everything, change nothing; print the description with all defaults',
    )
    .option('--workspace <dir>', 'copy this directory to every task, as `sai run` does')
    .option('--follow', 'show what happens and the logs until the end')
    .action((file: string, options: SubmitOptions) => submit(file, options, scope))
  add('list', 'list jobs, newest first')
    .option('--queue <queue>', 'only of this queue')
    .option('--state <state...>', 'only in these states')
    .option('--limit <n>', 'at most so many', wholeNumber('--limit', 1, 100_000), 100)
    .action((options: ListOptions) => list(options, scope))
}

function addReads(add: Add, scope: CommandScope): void {
  const { io } = scope
  add('get', 'show a job').action(
    onJob(scope, async (platform, options: Globals, jobId) => {
      const job = await platform.jobs.get(jobId)
      answer(io, options, { json: jobJson(job), text: () => jobText(job, io.clock.wallMs()) })
    }),
  )
  add('why', 'tell why a job is as it is: its story, now or at a past position')
    .option('--at <position>', 'position of the scheduler’s log, as printed before')
    .action(
      onJob(scope, async (platform, options: Globals & { at?: string }, jobId) => {
        const why = await platform.jobs.why(jobId, options.at)
        const text = () => storyText(why, jobId)
        answer(io, options, { json: ExplainJobResponse.toJSON(why), text })
      }),
    )
  add('watch', 'print each change until the job ends; the exit status tells how').action(
    onJob(scope, (platform, options: Globals, jobId) => watch(platform, options, { jobId, scope })),
  )
  const generation = wholeNumber('--generation', 0, 1e9)
  add('logs', 'print the logs of all ranks, the first failing one on top')
    .option('--rank <rank>', 'only this rank', wholeNumber('--rank', 0, 16_383))
    .option('--generation <n>', 'of this generation; 0 = the newest', generation, 0)
    .option('--tail <lines>', 'only the last lines of each rank', wholeNumber('--tail', 1, 1e9), 0)
    .option('--follow', 'go on until the job has ended')
    .action(
      onJob(scope, (platform, options: LogOptions, jobId) =>
        logs(platform, options, { jobId, scope }),
      ),
    )
}

/** `sai job …` */
export function addJob(program: Command, scope: CommandScope): void {
  const jobs = program.command('job').description('submit, read and end jobs')
  const add: Add = (usage, about) => withGlobals(jobs.command(usage)).description(about)
  const named: Add = (usage, about) => add(usage, about).argument('<job>', ABOUT_JOB)
  addSubmitAndList(add, scope)
  addReads(named, scope)
  named('scale', 'set how many replicas (Inference) or tasks (elastic) a job has')
    .argument('[number]', 'replicas or tasks; the autoscaler only advises from then on')
    .option('--auto', 'give the decision back to the autoscaler')
    .action(async (typed: string, number: string | undefined, options: ScaleOptions) => {
      const wanted = wantedOf(number, options)
      await onJob(scope, (platform, _: ScaleOptions, jobId) =>
        scaleJob(platform, { jobId, wanted }, { scope, options }),
      )(typed, options)
    })
  named('update', 'give an Inference job another description; its replicas follow one by one')
    .option('-f, --file <file>', 'description (YAML or JSON), or - for standard input')
    .option('--workspace <dir>', 'copy this directory to every task, as `sai run` does')
    .option('--to-revision <n>', 'back to this one', wholeNumber('--to-revision', 1, 1e9))
    .action(
      onJob(scope, (platform, options: UpdateOptions, jobId) =>
        updateJob(platform, jobId, { scope, options }),
      ),
    )
  named('cancel', 'end a job').action(
    onJob(scope, async (platform, options: Globals, jobId) => {
      const job = await platform.jobs.cancel(jobId)
      const what = isFinished(job) ? 'has ended' : 'is being cancelled'
      const text = () => `${jobId} ${what} (${stateWord(job.state)})\n`
      answer(scope.io, options, { json: jobJson(job), text })
    }),
  )
}
