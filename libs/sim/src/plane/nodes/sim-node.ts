/** A node of the simulated world: the real supervisor and the real agent in two processes. */
import type { Clock, Timers } from '@serverless-ai/kernel'
import {
  type AgentEvents,
  AgentProcess,
  AgentSession,
  type NodeConfig,
  parseNodeConfig,
  Supervisor,
  type ToAgent,
  type ToSupervisor,
} from '@serverless-ai/node-agent/parts'
import { followLeader } from '@serverless-ai/rpc'
import type { Machine, ProcessContext, Running, SimProcess } from '../../world/types.ts'
import type { SimNode, SimNodeInit } from '../types.ts'
import { DiskNodeStore } from './disk-store.ts'
import type { Gangs } from './gangs.ts'
import { SimHost } from './host.ts'

/** A message between agent and supervisor takes this long, ms. */
const IPC_MS = 0.2
/** A supervisor that could not start is started again after this long, ms. */
const RESTART_MS = 1_000
/** Ended executions whose records are kept. */
const KEEP_ENDED = 20
/** Desired sets of the past that may arrive late. */
const SETS_KEPT = 12
/** Time for the agent to end its stream, ms. */
const AGENT_STOP_MS = 500
const MEMORY_MIB = 1024 * 1024
const CPU_MILLIS = 128_000

/** The channel between a supervisor and the agent it has started. */
interface Channel {
  readonly events: AgentEvents
  /** Timers of the supervisor: what is told to a dead one is lost. */
  readonly timers: Timers
  /** Gives the agent a message; undefined until it runs. */
  deliver: ((message: ToAgent) => void) | undefined
}

class SimulatedNode implements SimNode {
  readonly name: string
  readonly agent: SimProcess
  readonly supervisor: SimProcess
  readonly #init: SimNodeInit
  readonly #gangs: Gangs
  readonly #machine: Machine
  readonly #config: NodeConfig
  #channel: Channel | undefined
  #host: SimHost | undefined
  #desiredEpoch = '0'
  /** Desired sets that agents have handed on, the newest last. */
  readonly #sets: ToSupervisor[] = []

  constructor(init: SimNodeInit, gangs: Gangs) {
    this.#init = init
    this.#gangs = gangs
    this.name = init.name
    this.#config = configOf(init)
    this.#machine = init.world.machine(init.name)
    this.agent = this.#machine.process(init.name, (context) => this.#agentMain(context))
    this.supervisor = this.#machine.process(`${init.name}-supervisor`, (context) =>
      this.#supervisorMain(context),
    )
    this.agent.onState((state) => {
      if (state === 'stopped') this.#agentEnded()
    })
    this.supervisor.onState((state) => {
      if (state === 'stopped') this.#supervisorEnded()
    })
  }

  /** Parent-death signal: everything of the node goes with its supervisor. */
  #supervisorEnded(): void {
    this.#host?.processes.killAll()
    this.#host = undefined
    this.agent.kill()
  }

  /** Its supervisor learns it, if it is there. */
  #agentEnded(): void {
    const channel = this.#channel
    if (channel === undefined) return
    const { incarnation } = this.agent
    this.#channel = undefined
    channel.deliver = undefined
    channel.timers.after(IPC_MS, () => channel.events.onGone({ incarnation }))
  }

  hang(): void {
    if (this.agent.state === 'running') this.agent.pause()
  }

  powerCycle(ms: number, tornShare?: number): void {
    this.#machine.powerOff(tornShare)
    this.#init.world.time.after(ms, () => {
      if (this.supervisor.state === 'stopped') this.supervisor.start()
    })
  }

  lateDesired(back: number): void {
    const channel = this.#channel
    const set = this.#sets.at(-1 - back)
    if (channel === undefined || set === undefined) return
    channel.timers.after(IPC_MS, () => channel.events.onMessage(set))
  }

  running(): number {
    return this.#host?.processes.running ?? 0
  }

  #supervisorMain(context: ProcessContext): Running {
    const { clock, timers, logger, randomness } = context.ports
    const { world, name: node, scripts, observe } = this.#init
    const gangs = this.#gangs
    const config = this.#config
    const host = new SimHost({ context, config, time: world.time, node, scripts, gangs, observe })
    this.#host = host
    let supervisor: Supervisor | undefined
    const agent = new AgentProcess({
      clock,
      timers,
      logger,
      launch: (events) => this.#launchAgent(timers, events),
      onMessage: (message) => supervisor?.onMessage(message),
      onPid: () => undefined,
    })
    const session = Buffer.from(randomness.bytes(8)).toString('hex')
    const begin = async (): Promise<void> => {
      const wallMs = (): number => clock.wallMs()
      const store = await DiskNodeStore.open({
        disk: context.ports.disk,
        timers,
        nodeDir: config.nodeDir,
        wallMs,
      })
      await host.open(store)
      supervisor = new Supervisor({
        config: () => config,
        clock,
        timers,
        logger,
        store,
        host,
        session,
      })
      await supervisor.clearLeftovers()
      supervisor.attach(agent)
      agent.start()
    }
    begin().catch((error: unknown) => {
      logger.log('error', 'the supervisor cannot start', { error: String(error) })
      // It ends, and is started again, as an init system would.
      const { incarnation } = this.supervisor
      world.time.after(RESTART_MS, () => {
        if (this.supervisor.state === 'stopped') this.supervisor.start()
      })
      timers.after(0, () => {
        if (this.supervisor.incarnation === incarnation) this.supervisor.kill()
      })
    })
    return {
      stop: async () => {
        await supervisor?.shutdown()
        await agent.stop(AGENT_STOP_MS)
      },
    }
  }

  #launchAgent(timers: Timers, events: AgentEvents) {
    // One that an older session left hanging, or somebody started by hand.
    this.agent.kill()
    const channel: Channel = { events, timers, deliver: undefined }
    this.#channel = channel
    this.agent.start()
    return {
      pid: this.agent.incarnation,
      send: (message: ToAgent): boolean => {
        channel.deliver?.(message)
        return channel.deliver !== undefined
      },
      kill: () => {
        if (this.#channel === channel) this.agent.kill()
      },
    }
  }

  /** Whose answers renew the lease is seen by the desired sets of the same stream. */
  #noteLease(message: ToSupervisor, clock: Clock): void {
    if (message.type === 'desired') {
      this.#desiredEpoch = message.version.epoch
      this.#sets.push(message)
      if (this.#sets.length > SETS_KEPT) this.#sets.shift()
    }
    if (message.type !== 'lease' || !message.setSeen) return
    const { world, observe, leaseMs } = this.#init
    const atMs = world.time.nowMs
    const ageMs = clock.bootMs() - (message.deadlineBootMs - leaseMs)
    // The agent notes whole milliseconds.
    const sentMs = atMs - (ageMs + 1) / RATE_MIN
    const epoch = Number(this.#desiredEpoch)
    observe({ kind: 'lease-renewed', atMs, node: this.name, epoch, sentMs })
  }

  #agentMain(context: ProcessContext): Running {
    const channel = this.#channel
    const { ports } = context
    const { timers, logger } = ports
    // Without a supervisor an agent has nothing to do.
    if (channel === undefined || channel.deliver !== undefined) {
      timers.after(0, () => this.agent.kill())
      return { stop: async () => undefined }
    }
    const { events } = channel
    const config = this.#config
    const session = new AgentSession({
      ...ports,
      config,
      transport: followLeader(context.transport, ports),
      logSource: noLogs,
      workspaces: noWorkspaces,
      askProbe: async ({ port }) => this.#host?.processes.answer(port) ?? 'no supervisor',
      toSupervisor: (message) => {
        this.#noteLease(message, ports.clock)
        channel.timers.after(IPC_MS, () => events.onMessage(message))
      },
      probePorts: async () => ({ first: config.portFirst, last: config.portLast }),
      lookAtMachine: async () => ({ cpuMillis: CPU_MILLIS, memoryMib: MEMORY_MIB, devices: [] }),
      onStopped: () => this.agent.kill(),
    })
    channel.deliver = (message) => {
      timers.after(IPC_MS, () => session.onMessage(message))
    }
    timers.after(0, () => session.start())
    logger.log('debug', 'agent starts')
    return { stop: () => session.stop() }
  }
}

/** Rates of clocks are within ±4 %: so much older may a moment be than the node's clock says. */
const RATE_MIN = 0.96

const noLogs = {
  read: () => {
    throw new Error('simulated tasks write no logs')
  },
}

const noWorkspaces = {
  prepare: async (workspace: string) => ({
    cause: 'START_FAILED' as const,
    message: `workspace ${workspace}: simulated nodes unpack none`,
  }),
}

function configOf({ name, devices, model, poolAddress, token }: SimNodeInit): NodeConfig {
  const parsed = parseNodeConfig(
    {
      nodeId: name,
      nodeDir: '/node',
      workDir: '/node/work',
      // Shared by all nodes.
      checkpointDir: '/shared/checkpoints',
      poolAddress,
      token,
      address: name,
      emulated: devices === 0 ? [] : [{ count: devices, model, memoryMib: 40_960 }],
      keepEnded: KEEP_ENDED,
    },
    '/usr/bin',
  )
  if (!parsed.ok) throw new Error(`configuration of ${name}: ${parsed.problems.join('; ')}`)
  return parsed.config
}

/** Makes a node; start its supervisor to switch it on. */
export function createNode(init: SimNodeInit, gangs: Gangs): SimNode {
  return new SimulatedNode(init, gangs)
}
