import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EXIT } from './errors.ts'
import type { CheckpointLine, JournalLine, ReportLine, ResultLine } from './report.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const WORLD = 4
/** 45 steps an epoch; small enough for a second of training. */
const SETTINGS = ['--epochs', '4', '--hidden', '16', '--checkpoint-every', '20']

let root: string
let running: ChildProcess[] = []
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'digits-'))
})
afterEach(async () => {
  const ends = running.filter((p) => p.exitCode === null && p.signalCode === null)
  await Promise.all(
    ends.map((p) => {
      const end = once(p, 'exit')
      p.kill('SIGKILL')
      return end
    }),
  )
  running = []
  rmSync(root, { recursive: true, force: true })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stderr: string
}

interface Worker {
  process: ChildProcess
  ended: Promise<Ended>
}

function startWorker(env: Record<string, string>, argv: string[]): Worker {
  const child = spawn(process.execPath, [MAIN, ...argv], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let stderr = ''
  child.stdout.resume()
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close').then(() => ({
    code: child.exitCode,
    signal: child.signalCode,
    stderr,
  }))
  return { process: child, ended }
}

interface GangRun {
  generation: number
  port: number
  argv?: string[]
  resumeFrom?: string
  world?: number
}

const files = () => ({ report: join(root, 'report.jsonl'), journal: join(root, 'journal.jsonl') })

function envOf(run: GangRun, rank: number): Record<string, string> {
  return {
    RANK: String(rank),
    WORLD_SIZE: String(run.world ?? WORLD),
    LOCAL_RANK: String(rank),
    LOCAL_WORLD_SIZE: String(run.world ?? WORLD),
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(run.port),
    TORCHELASTIC_RUN_ID: 'job-1',
    SAI_GENERATION: String(run.generation),
    SAI_CHECKPOINT_DIR: root,
    SAI_REPORT: files().report,
    DIGITS_JOURNAL: files().journal,
    ...(run.resumeFrom === undefined ? {} : { SAI_RESUME_FROM: run.resumeFrom }),
  }
}

function startGang(run: GangRun): Worker[] {
  const argv = [...SETTINGS, ...(run.argv ?? [])]
  return Array.from({ length: run.world ?? WORLD }, (_, rank) =>
    startWorker(envOf(run, rank), argv),
  )
}

const endOf = (workers: readonly Worker[]) => Promise.all(workers.map((w) => w.ended))

function linesOf<Line>(file: string): Line[] {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Line => JSON.parse(line))
}

const report = () => linesOf<ReportLine>(files().report)
const checkpoints = () => report().filter((l): l is CheckpointLine => l.kind === 'checkpoint')
const result = () => report().find((l): l is ResultLine => l.kind === 'result')

/** Waits until the files under `root` make `isReached` true; looks again at every change. */
async function reach(isReached: () => boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const look = () => {
    if (isReached()) resolve()
  }
  const watcher = watch(root, look)
  look()
  await promise
  watcher.close()
}

let undisturbed: Promise<ResultLine> | undefined
/** Trains once without disturbance, in a directory that does not outlive it. */
function undisturbedResult(): Promise<ResultLine> {
  undisturbed ??= (async () => {
    const ends = await endOf(startGang({ generation: 1, port: await freePort() }))
    expect(ends.map((e) => e.code)).toEqual([0, 0, 0, 0])
    const line = result()
    if (line === undefined) throw new Error('an undisturbed run left no result')
    for (const file of Object.values(files())) rmSync(file)
    rmSync(join(root, 'gen-1'), { recursive: true })
    return line
  })()
  return undisturbed
}

test('a gang whose rank is killed ends, names it, and resumes to the same bits', async () => {
  const want = await undisturbedResult()
  const slow = { argv: ['--step-delay-ms', '5'] }
  const first = startGang({ generation: 1, port: await freePort(), ...slow })
  const journal = () => linesOf<JournalLine>(files().journal)
  await reach(() => checkpoints().length >= 2 && journal().some((l) => l.step >= 50))
  first[2]!.process.kill('SIGKILL')
  const ends = await endOf(first)
  expect(ends.map((e) => e.signal ?? e.code)).toEqual([75, 75, 'SIGKILL', 75])
  for (const rank of [0, 1, 3]) expect(ends[rank]!.stderr).toContain('lost rank 2')

  const latest = checkpoints().at(-1)!
  const second = startGang({ generation: 2, port: await freePort(), resumeFrom: latest.path })
  expect((await endOf(second)).map((e) => e.code)).toEqual([0, 0, 0, 0])
  expect(result()?.parametersDigest).toBe(want.parametersDigest)
  expect(result()?.metrics).toEqual(want.metrics)
  const stepsOf = (generation: number) =>
    journal().filter((l) => l.generation === generation && l.rank === 0)
  expect(stepsOf(2)[0]?.step).toBe(latest.step + 1)
  expect(stepsOf(1).at(-1)!.atMs).toBeLessThan(stepsOf(2)[0]!.atMs)
})

test('SIGTERM saves the reached step, and the next generation goes on from it', async () => {
  const want = await undisturbedResult()
  const slow = ['--step-delay-ms', '5', '--checkpoint-every', '0']
  const first = startGang({ generation: 1, port: await freePort(), argv: slow })
  await reach(() => linesOf<JournalLine>(files().journal).some((l) => l.step >= 30))
  for (const { process } of first) process.kill('SIGTERM')
  const ends = await endOf(first)
  // A rank that hears of the stop from its peers before its own signal arrives ends with 75.
  for (const { code } of ends) expect([EXIT.terminated, EXIT.peerLost]).toContain(code)
  expect(ends.map((e) => e.code)).toContain(EXIT.terminated)

  const [saved, ...more] = checkpoints()
  expect(more).toEqual([])
  expect(saved?.step).toBeGreaterThanOrEqual(30)
  const resumeFrom = saved!.path
  const second = startGang({ generation: 2, port: await freePort(), resumeFrom })
  expect((await endOf(second)).map((e) => e.code)).toEqual([0, 0, 0, 0])
  expect(result()?.parametersDigest).toBe(want.parametersDigest)
})

test('a process of an older generation is refused and ends with 76', async () => {
  const port = await freePort()
  // Three of four: the gang is not whole, so rank 0 waits for as long as this test looks.
  const present = [0, 1, 2].map((rank) =>
    startWorker(envOf({ generation: 3, port }, rank), SETTINGS),
  )
  const stale = startWorker(envOf({ generation: 2, port }, 3), SETTINGS)
  const { code, stderr } = await stale.ended
  expect(code).toBe(EXIT.superseded)
  expect(stderr).toMatch(/rank 3: generation 2 is over; .*GENERATION_MISMATCH, want 3, got 2/)
  const last = startWorker(envOf({ generation: 3, port }, 3), SETTINGS)
  const ends = await endOf([...present, last])
  expect(ends.map((e) => e.code)).toEqual([0, 0, 0, 0])
})

test('a process of another run never joins', async () => {
  const port = await freePort()
  const run = { generation: 1, port, world: 2 }
  const rank0 = startWorker(envOf(run, 0), SETTINGS)
  const short = [...SETTINGS, '--rendezvous-timeout-ms', '1500']
  const stranger = startWorker({ ...envOf(run, 1), TORCHELASTIC_RUN_ID: 'job-2' }, short)
  const { code, stderr } = await stranger.ended
  expect(code).toBe(EXIT.peerLost)
  expect(stderr).toMatch(/RUN_MISMATCH, want job-1, got job-2/)
  rank0.process.kill('SIGTERM')
  expect((await rank0.ended).code).toBe(EXIT.terminated)
})

test('a stop does not wait for a peer that hangs; a silent peer counts as lost', async () => {
  const argv = ['--step-delay-ms', '5', '--checkpoint-every', '0', '--peer-timeout-ms', '20000']
  const stopped = startGang({ generation: 1, port: await freePort(), argv, world: 2 })
  await reach(() => linesOf<JournalLine>(files().journal).some((l) => l.step >= 5))
  stopped[1]!.process.kill('SIGSTOP')
  stopped[0]!.process.kill('SIGTERM')
  expect((await stopped[0]!.ended).code).toBe(EXIT.terminated)
  expect(checkpoints()).toHaveLength(1)
  stopped[1]!.process.kill('SIGKILL')
  rmSync(files().journal)

  const short = ['--step-delay-ms', '5', '--peer-timeout-ms', '500']
  const silent = startGang({ generation: 2, port: await freePort(), argv: short, world: 2 })
  await reach(() => linesOf<JournalLine>(files().journal).some((l) => l.step >= 5))
  silent[1]!.process.kill('SIGSTOP')
  const { code, stderr } = await silent[0]!.ended
  expect(code).toBe(EXIT.peerLost)
  expect(stderr).toContain('lost rank 1: silent for 500 ms')
}, 15_000)

test('what cannot work is told at once, with the file and an exit code of its own', async () => {
  const env = envOf({ generation: 1, port: await freePort(), world: 1 }, 0)
  const damaged = join(root, 'damaged.ckpt')
  writeFileSync(damaged, 'SAI-DIGITS-1 sha256:00\n{}\n')
  const cases: [Record<string, string>, number, string][] = [
    [{ SAI_RESUME_FROM: damaged }, EXIT.badData, damaged],
    [{ SAI_RESUME_FROM: join(root, 'none.ckpt') }, EXIT.noInput, 'none.ckpt'],
    [{ SAI_CHECKPOINT_DIR: join(root, 'none') }, EXIT.noInput, join(root, 'none')],
    [{ SAI_REPORT: join(root, 'none', 'report') }, EXIT.ioError, join(root, 'none', 'report')],
    [{ RANK: '1' }, EXIT.usage, 'RANK'],
  ]
  const ends = await endOf(cases.map(([change]) => startWorker({ ...env, ...change }, SETTINGS)))
  for (const [i, [, code, text]] of cases.entries()) {
    expect(ends[i]).toMatchObject({ code, stderr: expect.stringContaining(text) })
  }
})

test('ranks with different options stop instead of training nonsense', async () => {
  const run = { generation: 1, port: await freePort(), world: 2 }
  const a = startWorker(envOf(run, 0), SETTINGS)
  const b = startWorker(envOf(run, 1), [...SETTINGS, '--hidden', '8'])
  const ends = await endOf([a, b])
  expect(ends.map((e) => e.code)).toContain(EXIT.usage)
  expect(ends.map((e) => e.code)).not.toContain(0)
})

test('with its defaults it reads at least 95 % of the unseen digits rightly', async () => {
  const env = envOf({ generation: 1, port: await freePort() }, 0)
  const workers = Array.from({ length: WORLD }, (_, rank) =>
    startWorker({ ...env, RANK: String(rank), LOCAL_RANK: String(rank) }, []),
  )
  expect((await endOf(workers)).map((e) => e.code)).toEqual([0, 0, 0, 0])
  expect(result()?.metrics.accuracy).toBeGreaterThanOrEqual(0.95)
  expect(result()?.metrics.steps).toBe(1350)
  const progress = report().filter((l) => l.kind === 'progress')
  const gaps = progress.slice(1).map((line, i) => line.atMs - progress[i]!.atMs)
  for (const gap of gaps) expect(gap).toBeGreaterThan(450)
})
