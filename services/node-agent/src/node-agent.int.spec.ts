import type { Assignment } from '@serverless-ai/contracts/agent/v1/agent'
import { TaskExit_Cause as CAUSE } from '@serverless-ai/contracts/pool/v1/pool'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type LocalNode, localNodeStatus, stopLocalNode } from './app/local-nodes.ts'
import {
  assignment,
  buildPackage,
  makeDataDir,
  recordOf,
  removeDataDir,
  STATE,
  script,
  startNode,
  taskKey,
} from './testing/harness.ts'
import { ScriptedPool } from './testing/scripted-pool.ts'

let pool: ScriptedPool
let dataDir: string
let node: LocalNode

beforeAll(buildPackage)

beforeEach(async () => {
  pool = new ScriptedPool()
  await pool.listen()
  dataDir = makeDataDir()
})

afterEach(async () => {
  await stopLocalNode({ dataDir, nodeId: 'n1' })
  await pool.close()
  if (!process.env.KEEP) removeDataDir(dataDir)
})

const running = (key = taskKey()) =>
  pool.until('it runs', () => {
    const status = pool.status(key)
    return status?.state === STATE.RUNNING && status
  })
const exited = (key = taskKey(), timeoutMs = 20_000) =>
  pool.until(
    'it has ended',
    () => {
      const status = pool.status(key)
      return status?.state === STATE.EXITED && status.exit
    },
    timeoutMs,
  )

async function run(task: Assignment) {
  node = await startNode(dataDir, pool)
  pool.want([task])
  return exited(task.key)
}

describe('a node', () => {
  it('says hello with its inventory and runs a task to its end', async () => {
    node = await startNode(dataDir, pool)
    const hello = await pool.until('hello', () => pool.hellos[0])
    expect(hello.nodeId).toBe('n1')
    expect(hello.inventory?.devices.map((device) => device.model)).toEqual([
      'emulated/A100',
      'emulated/A100',
    ])
    pool.want([assignment(script('console.log("hello"); process.exitCode = 3'))])
    const exit = await exited()
    expect(exit).toMatchObject({ cause: CAUSE.EXITED, exitCode: 3, signal: '' })
    const id = pool.askLog(taskKey())
    const log = await pool.until('log', () => pool.logs.get(id)?.ended && pool.logs.get(id))
    expect(log).toMatchObject({ text: 'hello\n', error: '' })
  })
})
