import { createHash } from 'node:crypto'
import { closeSync, openSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { type Cgroups, openCgroups } from '../../adapters/os/cgroup.ts'
import { type CpuQuota, openCpuQuota } from '../../adapters/os/cpu-quota.ts'
import { writeJson } from '../../adapters/os/files.ts'
import { createJsonLogger } from '../../adapters/os/json-logger.ts'
import { probeIsolation } from '../../adapters/os/launch.ts'
import { type DirectoryLock, lockDirectory } from '../../adapters/os/lock.ts'
import { startTimeOf } from '../../adapters/os/proc.ts'
import type { NodeConfig } from '../../core/config.ts'
import { messageOf } from '../../core/errors.ts'
import { AgentProcess } from '../supervisor/agent-process.ts'
import { Supervisor } from '../supervisor/supervisor.ts'
import { NodeConfigError, readNodeConfig } from './config-file.ts'
import { type NodeRecord, nodeRecordPath, readNodeRecord, SUPERVISOR_LOCK } from './node-record.ts'
import { osAgent } from './os-agent.ts'
import { osHost } from './os-host.ts'
import { FileNodeStore } from './store.ts'

/** The log of an agent is rotated at a restart above this, bytes. */
const AGENT_LOG_MAX_BYTES = 8 * 1024 * 1024
/** Time for the agent to end its stream, ms. */
const AGENT_STOP_MS = 500

/** Another supervisor owns the node directory. */
export class NodeInUseError extends Error {
  override readonly name = 'NodeInUseError'
  constructor(nodeDir: string) {
    const owner = readNodeRecord(nodeDir)
    const who = owner === undefined ? 'another supervisor' : `supervisor process ${owner.pid}`
    super(
      `NODE_DIRECTORY_IN_USE: ${nodeDir} is owned by ${who}. ` +
        'Stop it first, or give this node a directory of its own.',
    )
  }
}

function openAgentLog(nodeDir: string): number {
  const path = join(nodeDir, 'agent.log')
  const fd = openSync(path, 'a', 0o600)
  if (statSync(path).size <= AGENT_LOG_MAX_BYTES) return fd
  closeSync(fd)
  renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o600)
}

function markOf(nodeDir: string): string {
  const { dev, ino } = statSync(nodeDir, { bigint: true })
  return createHash('sha256').update(`node:${dev}:${ino}`).digest('hex').slice(0, 16)
}

interface Running {
  readonly supervisor: Supervisor
  readonly agent: AgentProcess
  readonly lock: DirectoryLock
  readonly cgroups: Cgroups | undefined
  readonly cpuQuota: CpuQuota | undefined
  readonly logger: Logger
  readonly record: (change: Partial<NodeRecord>) => void
}

/**
 * Starts the supervisor of a node: takes the node directory, kills what older sessions left,
 * starts the agent.
 *
 * @throws {NodeConfigError} for an unusable configuration.
 * @throws {NodeInUseError} when another supervisor owns the directory.
 */
export async function runSupervisor(configFile: string): Promise<void> {
  let config = readNodeConfig(configFile)
  const lock = await lockDirectory(config.nodeDir, SUPERVISOR_LOCK)
  if (lock === undefined) throw new NodeInUseError(config.nodeDir)
  const running = await start(() => config, configFile, lock)
  const { logger } = running
  process.on('SIGHUP', () => {
    try {
      const changed = reread(config, configFile)
      checkBinding(changed, running)
      config = changed
      logger.log('info', 'configuration is read again')
      running.agent.renew()
    } catch (error) {
      if (!(error instanceof NodeConfigError)) throw error
      logger.log('error', error.message)
    }
  })
  let stopping = false
  const onSignal = (name: string) => {
    if (stopping) return
    stopping = true
    logger.log('info', 'shutting down', { signal: name })
    void stop(running)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** A node keeps its identity and directories while it runs. */
function reread(old: NodeConfig, file: string): NodeConfig {
  const config = readNodeConfig(file)
  for (const key of ['nodeId', 'nodeDir', 'workDir', 'checkpointDir', 'uidFile'] as const) {
    if (config[key] !== old[key]) {
      throw new NodeConfigError(`CONFIG_NEEDS_RESTART: ${key} changes only by a new start`)
    }
  }
  return config
}

async function start(
  config: () => NodeConfig,
  configFile: string,
  lock: DirectoryLock,
): Promise<Running> {
  const { nodeDir, nodeId } = config()
  const clock = systemClock
  const timers = systemTimers
  const session = Buffer.from(systemRandomness.bytes(8)).toString('hex')
  const logger = createJsonLogger(clock, { name: 'supervisor', nodeId, session })
  const nodeMark = markOf(nodeDir)
  const cgroups = openCgroups(`serverless-ai-${nodeMark}`)
  const cpuQuota = cgroups?.controllers.includes('cpu')
    ? undefined
    : openCpuQuota(`serverless-ai-${nodeMark}`)
  checkBinding(config(), { cgroups, cpuQuota })
  const isolation = probeIsolation(cgroups?.controllers)
  const store = new FileNodeStore(nodeDir)
  const common = { clock, timers, logger, config, store }
  const host = osHost({ ...common, isolation, cgroups, cpuQuota, nodeMark })
  const supervisor = new Supervisor({ ...common, host, session })
  const killed = await supervisor.clearLeftovers()
  logger.log('info', 'supervisor starts', { isolation: isolation.text, leftoversKilled: killed })
  let known: NodeRecord = {
    nodeId,
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    session,
    startedMs: clock.wallMs(),
    agentPid: 0,
    agentStartTime: '',
    stopped: false,
  }
  const record = (change: Partial<NodeRecord>) => {
    known = { ...known, ...change }
    try {
      writeJson(nodeRecordPath(nodeDir), known)
    } catch (error) {
      // Only what is looked at from outside: tasks must not end for it.
      logger.log('error', 'record not written', { problem: messageOf(error) })
    }
  }
  const agent = new AgentProcess({
    ...common,
    launch: osAgent({
      logger,
      isolation,
      command: [agentMain(), '--config', configFile],
      nodeDir,
      marker: `${nodeMark}:${session}:agent`,
      logFd: openAgentLog(nodeDir),
    }),
    onMessage: (message) => supervisor.onMessage(message),
    onPid: (pid) => record({ agentPid: pid, agentStartTime: pid === 0 ? '' : startTimeOf(pid) }),
  })
  supervisor.attach(agent)
  agent.start()
  return { supervisor, agent, lock, cgroups, cpuQuota, logger, record }
}

/** Devices that shall be bound must not run free. */
function checkBinding(
  { emulated }: NodeConfig,
  { cgroups, cpuQuota }: Pick<Running, 'cgroups' | 'cpuQuota'>,
): void {
  if (emulated.every(({ cpuMillis }) => cpuMillis === undefined)) return
  if (cgroups?.controllers.includes('cpu') || cpuQuota !== undefined) return
  throw new NodeConfigError(
    'EMULATED_CPU_UNBOUND: emulated devices have cpuMillis, but no cpu controller of cgroups ' +
      'can be used here; leave it out, or start the node as root where the controller is mounted',
  )
}

/** The agent's main beside this build: `dist/agent.js`. */
function agentMain(): string {
  return fileURLToPath(new URL('../../agent.js', import.meta.url))
}

async function stop(running: Running): Promise<void> {
  const { supervisor, agent, lock, cgroups, cpuQuota, logger, record } = running
  await supervisor.shutdown()
  await agent.stop(AGENT_STOP_MS)
  cgroups?.close()
  cpuQuota?.close()
  record({ stopped: true })
  logger.log('info', 'supervisor ends')
  await lock.release()
  process.exit(0)
}
