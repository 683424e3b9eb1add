import { fileURLToPath } from 'node:url'
import type { Logger } from '@serverless-ai/kernel'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc/client'
import type { NodeInventory } from '../adapters/grpc/mapping.ts'
import { createJsonLogger } from '../adapters/os/json-logger.ts'
import { machineCpuMillis, machineMemoryMib, nvidiaDevices } from '../adapters/os/machine.ts'
import { probePorts } from '../adapters/os/port-probe.ts'
import type { NodeConfig } from '../core/config.ts'
import { emulatedDevices, longestFreeRun } from '../core/inventory.ts'
import { Agent } from './agent.ts'
import { readNodeConfig } from './config-file.ts'
import type { PortRange, ToAgent } from './ipc.ts'
import { NodeStore } from './store.ts'
import { openSupervisorLink } from './supervisor-link.ts'

/** Version that a node reports. */
const AGENT_VERSION = '0.1.0'

async function probeRange(config: NodeConfig, logger: Logger): Promise<PortRange> {
  const { portFirst, portLast } = config
  const run = longestFreeRun(portFirst, await probePorts(portFirst, portLast))
  const range = run ?? { first: portFirst, last: portLast }
  if (range.first !== portFirst || range.last !== portLast) {
    logger.log('warn', 'ports of the range are in use', { portFirst, portLast, given: range })
  }
  return range
}

async function takeInventory(
  config: NodeConfig,
  session: Extract<ToAgent, { type: 'session' }>,
  range: PortRange,
  logger: Logger,
): Promise<NodeInventory> {
  const { devices, problem } = await nvidiaDevices()
  if (problem !== '') logger.log('warn', 'nvidia-smi failed', { problem })
  const first = devices.reduce((next, device) => Math.max(next, device.index + 1), 0)
  return {
    cpuMillis: config.cpuMillis === 0 ? machineCpuMillis() : config.cpuMillis,
    memoryMib: config.memoryMib === 0 ? machineMemoryMib() : config.memoryMib,
    devices: [...devices, ...emulatedDevices(config.nodeId, config.emulated, first)],
    address: config.address,
    portFirst: range.first,
    portLast: range.last,
    labels: config.labels,
    agentVersion: AGENT_VERSION,
    isolation: session.isolation,
  }
}

/**
 * Runs the agent of a node until its supervisor ends it or is gone.
 *
 * @throws {NodeConfigError} for an unusable configuration.
 */
export async function runAgent(configFile: string): Promise<void> {
  const config = readNodeConfig(configFile)
  const logger = createJsonLogger(systemClock, { name: 'agent', nodeId: config.nodeId })
  const store = new NodeStore(config.nodeDir)
  const early: ToAgent[] = []
  let agent: Agent | undefined
  const onMessage = (message: ToAgent) => {
    if (message.type === 'session') void begin(message)
    else if (message.type === 'stop') void stop()
    else if (agent === undefined) early.push(message)
    else agent.onMessage(message)
  }
  // Nothing may go on without the supervisor: it owns everything on this node.
  const link = openSupervisorLink(onMessage, () => process.exit(0))
  const transport = createGrpcTransport({ clock: systemClock })
  const stop = async () => {
    await agent?.stop()
    await transport.close()
    process.exit(0)
  }
  const begin = async (session: Extract<ToAgent, { type: 'session' }>) => {
    const range = session.portRange ?? (await probeRange(config, logger))
    if (session.portRange === null) link.send({ type: 'ports', range })
    agent = new Agent({
      config,
      transport,
      clock: systemClock,
      timers: systemTimers,
      randomness: systemRandomness,
      logger,
      store,
      unpackMain: fileURLToPath(new URL('../unpack.js', import.meta.url)),
      toSupervisor: link.send,
      session,
      inventory: await takeInventory(config, session, range, logger),
    })
    for (const message of early.splice(0)) agent.onMessage(message)
  }
  // Signals meant for a whole terminal or service are the supervisor's business.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)
  link.send({ type: 'ready' })
}
