import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Assignment,
  type ExecutionKey,
  ExecutionStatus_State,
} from '@serverless-ai/contracts/agent/v1/agent'
import { isRunning, signal, startTimeOf } from '../adapters/os/proc.ts'
import { type LocalNode, type LocalNodeConfig, startLocalNode } from '../app/local/local-nodes.ts'
import { type NodeRecord, readNodeRecord } from '../app/machine/node-record.ts'
import { NODE_TOKEN, type ScriptedPool } from './scripted-pool.ts'

/** States by name, for assertions. */
export const STATE = ExecutionStatus_State

/** Processes run the built output: brings it up to date. */
export function buildPackage(): void {
  const root = fileURLToPath(new URL('../../../..', import.meta.url))
  execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-b', 'services/node-agent'], {
    cwd: root,
    stdio: 'inherit',
  })
}

/** A data directory of its own that a tenant's uid can reach. */
export function makeDataDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sai-node-'))
  mkdirSync(join(dir, 'work'), { mode: 0o711 })
  execFileSync('chmod', ['711', dir])
  return dir
}

/** Removes a data directory after everything in it has ended. */
export function removeDataDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true })
}

/** Starts node `n1` against a scripted pool. */
export function startNode(
  dataDir: string,
  pool: ScriptedPool,
  change: Partial<LocalNodeConfig> = {},
): Promise<LocalNode> {
  return startLocalNode({
    dataDir,
    nodeId: 'n1',
    poolAddress: pool.address,
    token: NODE_TOKEN,
    emulated: [{ count: 2, model: 'A100', memoryMib: 40_960 }],
    ...change,
  })
}

/** What the node's record says now. */
export function recordOf(node: LocalNode): NodeRecord {
  const record = readNodeRecord(node.nodeDir)
  if (record === undefined) throw new Error(`no record in ${node.nodeDir}`)
  return record
}

/** Key of a task of job `j-0-test`. */
export function taskKey(generation = 1, rank = 0): ExecutionKey {
  return { jobId: 'j-0-test', gang: 0, generation, rank }
}

/** An assignment with the given command and changes. */
export function assignment(
  command: readonly string[],
  change: Partial<Assignment> = {},
): Assignment {
  return {
    key: taskKey(),
    tenant: 'team-a',
    command,
    env: {},
    deviceIndexes: [],
    cpuMillis: 0n,
    memoryMib: 0n,
    ports: [],
    workspace: '',
    exclusive: false,
    stopGraceMs: 1000n,
    logMaxBytes: 0n,
    readiness: undefined,
    notice: undefined,
    ...change,
  }
}

/** Runs a script with this Node: `program` is its text. */
export function script(program: string): readonly string[] {
  return ['node', '-e', program]
}

/** Waits until a state is reached that no message tells of. */
export async function eventually(
  what: string,
  reached: () => boolean,
  timeoutMs = 10_000,
): Promise<void> {
  const until = performance.now() + timeoutMs
  while (!reached()) {
    if (performance.now() > until) throw new Error(`not in ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** True while exactly that process runs. */
export function lives(process: { readonly pid: number; readonly startTime: string }): boolean {
  return isRunning(process)
}

/** A process with its start time, to be watched by {@link lives}. */
export function processOf(pid: number): { pid: number; startTime: string } {
  return { pid, startTime: startTimeOf(pid) }
}

/** Kills a process hard, if it is still there. */
export function killHard(pid: number): void {
  if (pid > 0) signal(pid, 'SIGKILL')
}

/** Text of a file, empty when it is not there. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
