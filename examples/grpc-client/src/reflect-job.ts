import { readFileSync } from 'node:fs'
import process, { argv, exit } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { FileRegistry, JsonObject } from '@bufbuild/protobuf'
import { status } from '@grpc/grpc-js'
import { DynamicClient } from './dynamic-client.ts'
import { methodOf, ReflectionClient } from './reflection.ts'
import { requestId } from './request-id.ts'
import { codeName, isServiceError, statusDetails } from './status-details.ts'

const USAGE = `usage: reflect-job [--address 127.0.0.1:7070] [--token TOKEN] COMMAND
  list             services and methods, as the server describes them
  submit FILE      submits a job description (- reads standard input); prints the job
  watch JOB_ID     prints the job now and after every change, until it is finished
  cancel JOB_ID    ends a job; prints it`

const SERVICE = 'serverlessai.job.v1.JobService'
const WATCH_RETRIES_MAX = 10
const WATCH_RETRY_MS = 500

/** What a user typed wrongly; answered with the usage. */
class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface Session {
  readonly client: DynamicClient
  readonly reflection: ReflectionClient
  readonly registry: FileRegistry
}

const print = (value: unknown) => console.log(JSON.stringify(value))

async function list({ reflection }: Session): Promise<void> {
  for (const name of await reflection.listServices()) {
    const service = (await reflection.describe(name)).getService(name)
    for (const { name: method, methodKind, input, output } of service?.methods ?? []) {
      print({
        method: `${name}/${method}`,
        kind: methodKind,
        takes: input.name,
        gives: output.name,
      })
    }
  }
}

async function submit({ client, registry }: Session, file: string): Promise<void> {
  const manifest = readFileSync(file === '-' ? 0 : file, 'utf8')
  const request = { requestId: requestId(), manifest, fileName: file }
  print(await client.unary(methodOf(registry, SERVICE, 'SubmitJob'), request))
}

async function cancel({ client, registry }: Session, jobId: string): Promise<void> {
  const request = { requestId: requestId(), jobId }
  print(await client.unary(methodOf(registry, SERVICE, 'CancelJob'), request))
}

/** A lost connection, or a server that asks a slow reader to come again. */
const isPassing = (error: unknown) =>
  isServiceError(error) &&
  (error.code === status.UNAVAILABLE || error.code === status.RESOURCE_EXHAUSTED)

/** The server ends the stream after the last change; a broken one is resumed where it was. */
async function watch({ client, registry }: Session, jobId: string): Promise<void> {
  const method = methodOf(registry, SERVICE, 'WatchJob')
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  let resumeAfter = ''
  for (let failures = 0; ; ) {
    const request: JsonObject = { jobId, resumeAfter }
    try {
      for await (const change of client.serverStream(method, request, interrupted.signal)) {
        failures = 0
        if (typeof change['position'] === 'string') resumeAfter = change['position']
        // A message without a job is a heartbeat.
        if (change['job'] !== undefined) print(change)
      }
      return
    } catch (error) {
      if (interrupted.signal.aborted) return
      if (!isPassing(error) || ++failures > WATCH_RETRIES_MAX) throw error
      console.error(`reflect-job: the stream broke, going on after position "${resumeAfter}"`)
      await sleep(WATCH_RETRY_MS)
    }
  }
}

/** @throws UsageError when the command or its argument is missing or unknown */
function commandOf(positionals: readonly string[]): (session: Session) => Promise<void> {
  const [command, subject, ...more] = positionals
  if (more.length > 0) throw new UsageError(`unexpected "${more[0]}"`)
  if (command === 'list' && subject === undefined) return list
  const known = { submit, watch, cancel }
  const run = Object.entries(known).find(([name]) => name === command)?.[1]
  if (run === undefined) throw new UsageError(`unknown command "${command ?? ''}"`)
  if (subject === undefined) throw new UsageError(`${command}: an argument is missing`)
  return (session) => run(session, subject)
}

function parse() {
  try {
    const { values, positionals } = parseArgs({
      args: argv.slice(2),
      allowPositionals: true,
      options: {
        address: { type: 'string', default: '127.0.0.1:7070' },
        token: { type: 'string' },
      },
    })
    return { address: values.address, token: values.token, command: commandOf(positionals) }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

// The reader of a pipe, such as head, may leave when it has seen enough: no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  exit(0)
})

async function main(): Promise<void> {
  const { address, token, command } = parse()
  const client = new DynamicClient({ address, token })
  const reflection = new ReflectionClient(client)
  try {
    const registry = await reflection.describe(SERVICE)
    await command({ client, reflection, registry })
  } catch (error) {
    if (!isServiceError(error)) throw error
    console.error(`reflect-job: ${codeName(error)}: ${error.details}`)
    const details = await statusDetails(error, reflection)
    if (details !== undefined) console.error(details)
    process.exitCode = 1
  } finally {
    reflection.close()
    client.close()
  }
}

main().catch((error: unknown) => {
  const text = error instanceof Error ? error.message : String(error)
  const isUsage = error instanceof UsageError
  console.error(`reflect-job: ${text}${isUsage ? `\n${USAGE}` : ''}`)
  exit(isUsage ? 2 : 1)
})
