import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '@serverless-ai/kernel'
import {
  systemClock,
  systemDisk,
  systemRandomness,
  systemTimers,
} from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc/client'
import { followLeader } from '@serverless-ai/rpc/follow'
import { openTlsFiles, type TlsSource } from '@serverless-ai/rpc/tls'
import { createJsonLogger } from '../../adapters/os/json-logger.ts'
import { machineCpuMillis, machineMemoryMib, nvidiaDevices } from '../../adapters/os/machine.ts'
import { probePorts } from '../../adapters/os/port-probe.ts'
import { askProbe } from '../../adapters/os/probe.ts'
import type { NodeConfig } from '../../core/config.ts'
import { messageOf } from '../../core/errors.ts'
import { longestFreeRun } from '../../core/inventory.ts'
import type { Measurement } from '../agent/agent.ts'
import { AgentSession, type MachineParts } from '../agent/agent-session.ts'
import type { PortRange } from '../ipc.ts'
import type { AgentTelemetryOptions } from '../telemetry/agent-telemetry.ts'
import { NodeConfigError, readNodeConfig } from './config-file.ts'
import { fileLogs } from './log-reader.ts'
import { FileNodeStore } from './store.ts'
import { openSupervisorLink } from './supervisor-link.ts'
import { Workspaces } from './workspaces.ts'

async function probeRange(config: NodeConfig, logger: Logger): Promise<PortRange> {
  const { portFirst, portLast } = config
  const run = longestFreeRun(portFirst, await probePorts(portFirst, portLast))
  const range = run ?? { first: portFirst, last: portLast }
  if (range.first !== portFirst || range.last !== portLast) {
    logger.log('warn', 'ports of the range are in use', { portFirst, portLast, given: range })
  }
  return range
}

async function lookAtMachine(logger: Logger): Promise<MachineParts> {
  const { devices, problem } = await nvidiaDevices()
  if (problem !== '') logger.log('warn', 'nvidia-smi failed', { problem })
  return { cpuMillis: machineCpuMillis(), memoryMib: machineMemoryMib(), devices }
}

/** Mutual TLS, where it is configured. @throws {NodeConfigError} its files cannot be used */
async function tlsOf(config: NodeConfig, logger: Logger): Promise<{ tls?: TlsSource }> {
  const { tlsCa: ca, tlsCert: cert, tlsKey: key } = config
  if (cert === '') return {}
  const files = { ca, cert, key }
  const ports = { clock: systemClock, timers: systemTimers, disk: systemDisk, logger }
  try {
    const owner = { kind: 'node', name: config.nodeId } as const
    return { tls: await openTlsFiles({ files, owner, ...ports }) }
  } catch (error) {
    throw new NodeConfigError(messageOf(error))
  }
}

/** Loaded where it is wanted: an agent that measures nothing is smaller. */
async function measurementOf(
  config: NodeConfig,
  ports: Omit<AgentTelemetryOptions, 'config' | 'machine' | 'tools'>,
): Promise<Measurement | undefined> {
  if (config.telemetryAddress === '') return undefined
  const { openMeasurement } = await import('./measurement.ts')
  return openMeasurement(config, ports)
}

/**
 * Runs the agent of a node until its supervisor ends it or is gone.
 *
 * @throws {NodeConfigError} for an unusable configuration.
 */
export async function runAgent(configFile: string): Promise<void> {
  const config = readNodeConfig(configFile)
  const { workspaceAddress: address, token, nodeDir } = config
  const clock = systemClock
  const timers = systemTimers
  const logger = createJsonLogger(clock, { name: 'agent', nodeId: config.nodeId })
  const randomness = systemRandomness
  const tls = await tlsOf(config, logger)
  const transport = followLeader(createGrpcTransport({ clock, ...tls }), {
    clock,
    timers,
    randomness,
  })
  const ports = { transport, clock, timers, randomness, logger }
  const measurement = await measurementOf(config, ports)
  // Nothing may go on without the supervisor: it owns everything on this node.
  const link = openSupervisorLink(
    (message) => session.onMessage(message),
    () => process.exit(0),
  )
  const directory = join(nodeDir, 'workspaces')
  const unpackMain = fileURLToPath(new URL('../../unpack.js', import.meta.url))
  const session = new AgentSession({
    ...ports,
    config,
    measurement,
    logSource: fileLogs(new FileNodeStore(nodeDir), timers),
    workspaces: new Workspaces({ transport, address, token, directory, clock, unpackMain }),
    askProbe: (probe) => askProbe(config.address, probe),
    toSupervisor: link.send,
    probePorts: () => probeRange(config, logger),
    lookAtMachine: () => lookAtMachine(logger),
    onStopped: () => void transport.close().then(() => process.exit(0)),
  })
  // Signals meant for a whole terminal or service are the supervisor's business.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)
  session.start()
}
