import { spawn } from 'node:child_process'
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Timers } from '@serverless-ai/kernel'
import { systemTimers } from '@serverless-ai/kernel/system'
import { isRecord, makePrivate, readJson, readText, writeAtomic } from '../../adapters/os/files.ts'
import { SMALL_NODE_FLAGS } from '../../adapters/os/launch.ts'
import { isLocked } from '../../adapters/os/lock.ts'
import { isRunning, signal } from '../../adapters/os/proc.ts'
import { type NodeConfigInput, parseNodeConfig } from '../../core/config.ts'
import { NodeConfigError } from '../machine/config-file.ts'
import {
  EXIT_IN_USE,
  type NodeRecord,
  readNodeRecord,
  SUPERVISOR_LOCK,
} from '../machine/node-record.ts'
import { resolveWorkRoot } from './work-root.ts'

/** A node of this machine whose supervisor is started by the platform. */
export type LocalNodeConfig = Omit<NodeConfigInput, 'nodeDir'> & {
  /** Data directory of the platform; the node's own is `nodes/<nodeId>` in it. Absolute. */
  readonly dataDir: string
}

/** Which local node. */
export interface LocalNodeName {
  readonly dataDir: string
  readonly nodeId: string
}

/** A supervisor that runs. */
export interface LocalNode {
  readonly nodeId: string
  readonly nodeDir: string
  /** Process id of the supervisor. */
  readonly pid: number
  /** It ran already. */
  readonly adopted: boolean
  /** One line for people, or empty. */
  readonly notice: string
}

/** What is known of a local node. */
export type LocalNodeStatus =
  | { readonly state: 'running'; readonly record: NodeRecord }
  | { readonly state: 'stopped'; readonly record: NodeRecord | undefined }

/** Why a supervisor did not come up. */
interface NotStarted {
  readonly words: string
  /** A signal ended it, or another one was faster: the next look finds better. */
  readonly again: boolean
}

/** Longest time for a supervisor to take its directory, ms. */
const START_TIMEOUT_MS = 10_000
/** Longest time for an ordered stop: 3 s grace of tasks, 1 s delivery, and the rest. */
const STOP_TIMEOUT_MS = 8000
/** The supervisor's own log is rotated at a start above this, bytes. */
const LOG_MAX_BYTES = 8 * 1024 * 1024
/** Starts of one that is killed meanwhile (out of memory, say), in all. */
const START_TRIES = 3
const LOOK_MS = 20
const BASE_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' }

/** Directory of a local node. */
function localNodeDir({ dataDir, nodeId }: LocalNodeName): string {
  return join(dataDir, 'nodes', nodeId)
}

/** The supervisor's main in the built output, also when this runs from the sources. */
function supervisorMain(): string {
  return fileURLToPath(new URL('../../../dist/supervisor.js', import.meta.url))
}

function openLog(nodeDir: string): number {
  const path = join(nodeDir, 'supervisor.log')
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_MAX_BYTES) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}

/** The supervisor that holds the directory, told from a later process with its number. */
function runningRecord(nodeDir: string): NodeRecord | undefined {
  const record = readNodeRecord(nodeDir)
  return record !== undefined && !record.stopped && isRunning(record) ? record : undefined
}

async function until<T>(
  timers: Timers,
  timeoutMs: number,
  find: () => T | undefined | Promise<T | undefined>,
): Promise<T | undefined> {
  for (let waitedMs = 0; waitedMs <= timeoutMs; waitedMs += LOOK_MS) {
    const found = await find()
    if (found !== undefined) return found
    await timers.sleep(LOOK_MS)
  }
  return undefined
}

/** True when the configuration was written while the directory was at another place. */
function isMoved(config: unknown, nodeDir: string): boolean {
  if (!isRecord(config) || typeof config['nodeDir'] !== 'string') return false
  try {
    return realpathSync(config['nodeDir']) !== realpathSync(nodeDir)
  } catch {
    return true
  }
}

/** Writes the configuration; true when it is another one than before. */
function writeConfig(path: string, config: unknown): boolean {
  const text = `${JSON.stringify(config, undefined, 2)}\n`
  if (readText(path) === text) return false
  writeAtomic(path, text)
  return true
}

/**
 * Starts the supervisor of a node of this machine, detached: it outlives this process. One that
 * runs already is adopted; when its configuration changed, its agent is started anew with it and
 * the tasks go on. One whose directory was moved meanwhile is stopped and started at the new place.
 *
 * @throws {NodeConfigError} for an unusable configuration; Error when the supervisor does not come
 *   up, with the end of its log.
 */
export async function startLocalNode(options: LocalNodeConfig): Promise<LocalNode> {
  const { dataDir, ...given } = options
  const { nodeId } = given
  const nodeDir = localNodeDir({ dataDir, nodeId })
  const { notice, ...root } = resolveWorkRoot(dataDir)
  const uidFile = join(dataDir, 'tenants-uid.json')
  const parsed = parseNodeConfig({ ...root, uidFile, ...given, nodeDir }, root.nodeBinDir)
  if (!parsed.ok) throw new NodeConfigError(`CONFIG_INVALID: ${parsed.problems.join('; ')}`)
  makePrivate(nodeDir)
  const file = join(nodeDir, 'config.json')
  // Moved while its supervisor ran: that one goes on writing to where the directory was.
  if (isMoved(readJson(file), nodeDir)) await stopLocalNode({ dataDir, nodeId })
  const changed = writeConfig(file, parsed.config)
  for (let tries = 1; ; tries++) {
    const there = (await isLocked(nodeDir, SUPERVISOR_LOCK))
      ? await until(systemTimers, START_TIMEOUT_MS, () => runningRecord(nodeDir))
      : undefined
    if (there !== undefined) {
      if (changed) signal(there.pid, 'SIGHUP')
      return { nodeId, nodeDir, pid: there.pid, adopted: true, notice }
    }
    const outcome = await spawnSupervisor(nodeDir, file)
    if (typeof outcome === 'number') {
      return { nodeId, nodeDir, pid: outcome, adopted: false, notice }
    }
    if (outcome.again && tries < START_TRIES) continue
    const log = readFileSync(join(nodeDir, 'supervisor.log'), 'utf8').slice(-1000)
    const what = `the supervisor of node ${nodeId} did not start: ${outcome.words}`
    throw new Error(`${what}; its log ends with: ${log}`)
  }
}

/** Starts a supervisor and waits until it holds its directory: its pid, or why it does not. */
async function spawnSupervisor(nodeDir: string, configFile: string): Promise<number | NotStarted> {
  const logFd = openLog(nodeDir)
  const main = [...SMALL_NODE_FLAGS, supervisorMain(), '--config', configFile]
  const child = spawn(process.execPath, main, {
    cwd: nodeDir,
    detached: true,
    env: BASE_ENV,
    stdio: ['ignore', logFd, logFd],
  })
  closeSync(logFd)
  child.unref()
  let ended: NotStarted | undefined
  child.once('error', (error) => {
    ended = { words: error.message, again: false }
  })
  child.once('exit', (code, killer) => {
    const again = killer !== null || code === EXIT_IN_USE
    ended = { words: `it ended with ${killer ?? `code ${code}`}`, again }
  })
  const outcome = await until(systemTimers, START_TIMEOUT_MS, () =>
    runningRecord(nodeDir)?.pid === child.pid ? child.pid : ended,
  )
  return outcome ?? { words: `it was not ready within ${START_TIMEOUT_MS} ms`, again: false }
}

/** Ids of the nodes of a data directory whose supervisors run, whoever started them. */
export function runningLocalNodes(dataDir: string): readonly string[] {
  let names: readonly string[]
  try {
    names = readdirSync(join(dataDir, 'nodes'))
  } catch {
    return []
  }
  return names.filter((nodeId) => localNodeStatus({ dataDir, nodeId }).state === 'running')
}

/** What runs of a local node. */
export function localNodeStatus(name: LocalNodeName): LocalNodeStatus {
  const nodeDir = localNodeDir(name)
  const record = runningRecord(nodeDir)
  if (record !== undefined) return { state: 'running', record }
  return { state: 'stopped', record: readNodeRecord(nodeDir) }
}

/**
 * Shuts a local node down in order: tasks get SIGTERM and, 3 s later, SIGKILL. A supervisor that
 * does not end in 8 s is killed, and its tasks with it.
 *
 * @returns `absent` when none ran
 */
export async function stopLocalNode(name: LocalNodeName): Promise<'stopped' | 'killed' | 'absent'> {
  const record = runningRecord(localNodeDir(name))
  if (record === undefined) return 'absent'
  signal(record.pid, 'SIGTERM')
  const gone = () => (isRunning(record) ? undefined : true)
  if (await until(systemTimers, STOP_TIMEOUT_MS, gone)) return 'stopped'
  signal(record.pid, 'SIGKILL')
  await until(systemTimers, STOP_TIMEOUT_MS, gone)
  return 'killed'
}
