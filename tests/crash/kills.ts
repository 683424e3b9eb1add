import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareQueue } from '../e2e/node-faults.ts'
import { patient } from '../support/environment.ts'
import { Platform } from '../support/platform.ts'
import { ROOT } from '../support/root.ts'
import { until } from '../support/until.ts'
import { type Ending, endOf } from './checks.ts'
import { type Kill, NODES, nameOfKill } from './plan.ts'
import { Recorder } from './recorder.ts'
import { Strikes } from './strikes.ts'
import { journalBreaches, makeJournal, readLines } from './workload.ts'

const MAIN = join(ROOT, 'tests/dist/crash/crash-main.js')
/** Long enough for all retries of all jobs. */
const FINISH_TIMEOUT_MS = 180_000

export interface KillsOptions {
  readonly kills: readonly Kill[]
  /** Lease of the nodes, ms. A short one lapses while something is down. */
  readonly leaseMs: number
  /** Jobs kept under way. */
  readonly jobs: number
  /** How long each of the ten steps of a task takes, ms. */
  readonly stepMs: number
  readonly say?: (line: string) => void
}

/** What was going on at a kill. */
export interface KillSeen {
  readonly kill: string
  /** Acknowledged jobs under way. */
  readonly jobs: number
  /** Executions that ran on the nodes. */
  readonly executions: number
}

/** What kills on one platform came to. */
export interface KillsResult {
  readonly kills: readonly KillSeen[]
  readonly acknowledged: number
  readonly repeatedRequests: number
  /** Jobs that ended in a later generation than the first. */
  readonly recovered: number
  readonly folded: Ending['folded']
  readonly breaches: readonly string[]
}

async function killAll(
  { kills, jobs, say }: KillsOptions,
  platform: Platform,
  recorder: Recorder,
): Promise<{ readonly seen: readonly KillSeen[]; readonly breaches: readonly string[] }> {
  const strikes = new Strikes(platform)
  const seen: KillSeen[] = []
  recorder.start(jobs)
  await until(
    `${jobs} acknowledged jobs under way`,
    () => (recorder.running >= jobs ? true : undefined),
    { timeoutMs: patient(60_000) },
  )
  for (const kill of kills) {
    const name = nameOfKill(kill)
    say?.(`${seen.length + 1}/${kills.length}: ${name}`)
    const executions = await strikes.strike(kill)
    seen.push({ kill: name, jobs: recorder.running, executions })
  }
  await strikes.back(patient(90_000))
  return { seen, breaches: strikes.breaches }
}

async function run(
  options: KillsOptions,
  platform: Platform,
  recorder: Recorder,
  journal: string,
): Promise<KillsResult> {
  const { seen, breaches } = await killAll(options, platform, recorder)
  options.say?.(`${recorder.acknowledged.length} jobs, ${recorder.running} still under way`)
  await recorder.finish(patient(FINISH_TIMEOUT_MS))
  const { acknowledged, repeated, recovered } = recorder
  const requests = [...(await recorder.repeatAll()), ...(await recorder.listBreaches())]
  const ending = await endOf(platform)
  return {
    kills: seen,
    acknowledged: acknowledged.length,
    repeatedRequests: repeated,
    recovered,
    folded: ending.folded,
    breaches: [
      ...breaches,
      ...recorder.breaches,
      ...requests,
      ...journalBreaches(readLines(journal), acknowledged),
      ...ending.breaches,
    ],
  }
}

/**
 * Kills parts of a platform again and again while jobs run, and checks what must hold. Breaches are
 * in the result.
 */
export async function runKills(options: KillsOptions): Promise<KillsResult> {
  const directory = mkdtempSync(join(tmpdir(), 'sai-kills-'))
  chmodSync(directory, 0o755)
  const journal = join(directory, 'journal.txt')
  makeJournal(journal)
  const platform = await Platform.start({ leaseMs: options.leaseMs, nodes: NODES, main: MAIN })
  try {
    await prepareQueue(platform)
    const recorder = new Recorder(platform.as('team-a'), { journal, stepMs: options.stepMs })
    try {
      return await run(options, platform, recorder, journal)
    } finally {
      recorder.abandon()
    }
  } finally {
    await platform.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
