import type { NodeInventory } from '../../adapters/grpc/mapping.ts'
import type { NodeConfig } from '../../core/config.ts'
import { emulatedDevices, type NodeDevice } from '../../core/inventory.ts'
import type { PortRange, ToAgent, ToSupervisor } from '../ipc.ts'
import { Agent, type AgentOptions } from './agent.ts'

type Session = Extract<ToAgent, { type: 'session' }>

/** Version that a node reports. */
const AGENT_VERSION = '0.2.0'

/** What a machine has. */
export interface MachineParts {
  /** Thousandths of a core. */
  readonly cpuMillis: number
  readonly memoryMib: number
  /** Real accelerators. */
  readonly devices: readonly NodeDevice[]
}

/** The inventory of a node: its machine, as far as the configuration gives it to tasks. */
function inventoryOf(
  config: NodeConfig,
  session: Session,
  range: PortRange,
  machine: MachineParts,
): NodeInventory {
  const { devices } = machine
  const first = devices.reduce((next, device) => Math.max(next, device.index + 1), 0)
  return {
    cpuMillis: config.cpuMillis === 0 ? machine.cpuMillis : config.cpuMillis,
    memoryMib: config.memoryMib === 0 ? machine.memoryMib : config.memoryMib,
    devices: [...devices, ...emulatedDevices(config.nodeId, config.emulated, first)],
    address: config.address,
    portFirst: range.first,
    portLast: range.last,
    labels: config.labels,
    agentVersion: AGENT_VERSION,
    isolation: session.isolation,
  }
}

/** What an agent's process needs to serve its supervisor. */
export interface AgentSessionOptions
  extends Omit<AgentOptions, 'session' | 'inventory' | 'toSupervisor'> {
  readonly toSupervisor: (message: ToSupervisor) => void
  /** Finds the ports that tasks may be given. */
  readonly probePorts: () => Promise<PortRange>
  /** Looks at the machine. */
  readonly lookAtMachine: () => Promise<MachineParts>
  /** The supervisor asked for the end, and the stream has ended in order. */
  readonly onStopped: () => void
}

/**
 * The agent's side of the IPC channel: says that it is ready, is told its session, looks at the
 * machine, then dials the pool manager.
 */
export class AgentSession {
  private readonly options: AgentSessionOptions
  /** Came before the agent was there. */
  private readonly early: ToAgent[] = []
  private agent: Agent | undefined

  constructor(options: AgentSessionOptions) {
    this.options = options
  }

  /** Begins; messages may come from now on. */
  start(): void {
    this.options.toSupervisor({ type: 'ready' })
  }

  /** A message of the supervisor. */
  onMessage(message: ToAgent): void {
    if (message.type === 'session') void this.begin(message)
    else if (message.type === 'stop') void this.stop()
    else if (this.agent === undefined) this.early.push(message)
    else this.agent.onMessage(message)
  }

  private async begin(session: Session): Promise<void> {
    const { options } = this
    const range = session.portRange ?? (await options.probePorts())
    if (session.portRange === null) options.toSupervisor({ type: 'ports', range })
    const inventory = inventoryOf(options.config, session, range, await options.lookAtMachine())
    const agent = new Agent({ ...options, session, inventory })
    this.agent = agent
    for (const message of this.early.splice(0)) agent.onMessage(message)
  }

  /** Ends the stream in order. */
  async stop(): Promise<void> {
    await this.agent?.stop()
    this.options.onStopped()
  }
}
