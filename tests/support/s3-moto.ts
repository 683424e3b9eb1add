// Finds or starts an S3-compatible store for the suites that need one: `SAI_TEST_S3`, else `moto`
// from PyPI in a virtual environment under the user's cache.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePorts } from './ports.ts'
import { ROOT } from './root.ts'

const run = promisify(execFile)

const START_TIMEOUT_MS = 60_000

/** A store that runs. It takes any credentials. */
export interface S3Store {
  /** `http://host:port`. */
  readonly endpoint: string
  /** How it came about, for people. */
  readonly from: string
  /** Stops it if it was started here. */
  stop(): Promise<void>
}

/** Why no store can be had, in one line. */
export class NoStoreError extends Error {
  override readonly name = 'NoStoreError'
}

/** Finds or starts a store. Rejects with {@link NoStoreError} where none can be had. */
export async function startS3Store(): Promise<S3Store> {
  const given = process.env['SAI_TEST_S3']
  if (given) return { endpoint: given, from: 'SAI_TEST_S3', stop: async () => undefined }
  return startMoto(await motoServer())
}

/** Program of the server; installed the first time. */
async function motoServer(): Promise<string> {
  const requirements = join(ROOT, 'infra/moto/requirements.txt')
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex')
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  // A virtual environment holds its own path, so it is made where it stays.
  const home = join(cache, 'serverless-ai', `moto-${digest.slice(0, 12)}`)
  const program = join(home, 'bin/moto_server')
  const done = join(home, 'installed')
  if (existsSync(done)) return program
  rmSync(home, { recursive: true, force: true })
  mkdirSync(dirname(home), { recursive: true })
  try {
    await run('python3', ['-m', 'venv', home], { timeout: 120_000 })
    const install = ['install', '--quiet', '--requirement', requirements]
    const log = join(home, 'pip.log')
    const pip = ['-m', 'pip', '--disable-pip-version-check', '--log', log, ...install]
    await run(join(home, 'bin/python'), pip, { timeout: 300_000 })
    renameSync(log, done)
    return program
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const why = text.trim().split('\n').at(-1)
    throw new NoStoreError(`no S3 store: moto cannot be had from PyPI by python3: ${why}`)
  }
}

async function startMoto(program: string): Promise<S3Store> {
  const port = await freePorts(1)
  const child = spawn(program, ['--host', '127.0.0.1', '--port', `${port}`], { stdio: 'ignore' })
  const onExit = (): void => void child.kill('SIGKILL')
  process.once('exit', onExit)
  const endpoint = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    process.removeListener('exit', onExit)
    await end(child)
  }
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await answers(endpoint))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop()
      throw new Error(`moto does not answer at ${endpoint} (exit status ${child.exitCode})`)
    }
    await sleep(100)
  }
  return { endpoint, from: `moto of ${dirname(dirname(program))}`, stop }
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(endpoint, { signal: AbortSignal.timeout(2000) })).ok
  } catch {
    return false
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}
