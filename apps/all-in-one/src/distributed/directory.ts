import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EventLog, logTopic } from '@serverless-ai/eventlog'
import { DataDirectoryError } from '@serverless-ai/hosting'
import type { Timers } from '@serverless-ai/kernel'
import { type DirectoryLock, lockDirectory } from '@serverless-ai/node-agent'
import { PROCESSES_FILE } from './record.ts'

/** Longest that processes of a platform that was killed take to end by themselves, ms. */
const LEFTOVERS_END_MS = 12_000
const LOOK_EVERY_MS = 50

/**
 * Keeps a second platform out of the directory, and waits for what a killed one left running.
 * @throws DataDirectoryError
 */
export async function takeDirectory(dataDir: string, timers: Timers): Promise<DirectoryLock> {
  const lock = await lockDirectory(dataDir, 'platform')
  if (lock === undefined) {
    throw new DataDirectoryError(
      `DATA_DIRECTORY_IN_USE: another platform runs on ${dataDir}; stop it, or choose another ` +
        'directory with --data DIR',
    )
  }
  for (let waitedMs = 0; waitedMs < LEFTOVERS_END_MS; waitedMs += LOOK_EVERY_MS) {
    if (leftovers(dataDir).length === 0) return lock
    await timers.sleep(LOOK_EVERY_MS)
  }
  for (const pid of leftovers(dataDir)) process.kill(pid, 'SIGKILL')
  return lock
}

/** Services of an earlier platform on the directory that still run. */
function leftovers(dataDir: string): readonly number[] {
  const path = join(dataDir, PROCESSES_FILE)
  if (!existsSync(path)) return []
  const { processes }: { processes: readonly { name: string; pid: number }[] } = JSON.parse(
    readFileSync(path, 'utf8'),
  )
  return processes.filter(({ name, pid }) => isProcess(pid, name)).map(({ pid }) => pid)
}

/** Told from a later process with its number by what it was started with. */
function isProcess(pid: number, name: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`/processes/${name}.json`)
  } catch {
    return false
  }
}

/**
 * Nodes remember how far they have followed their log: with another one they would wait for ever.
 * @throws DataDirectoryError
 */
export async function checkHistory(dataDir: string, log: EventLog): Promise<void> {
  const other = (whose: string): DataDirectoryError =>
    new DataDirectoryError(
      `DATA_DIRECTORY_OF_ANOTHER_LOG: ${dataDir} ${whose}; choose another one with --data DIR`,
    )
  if (existsSync(join(dataDir, 'log', 'log.db'))) throw other('holds a history without Kafka')
  const { end } = await log.range({ topic: logTopic('pool-manager'), partition: 0 })
  if (end === 0 && existsSync(join(dataDir, 'nodes'))) {
    throw other('belongs to another history: the log on these brokers is empty')
  }
}
