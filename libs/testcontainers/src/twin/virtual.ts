import { connect } from '@serverless-ai/client'
import { Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { servicesWithout } from '@serverless-ai/contracts/services'
import {
  CALM_LINK,
  ControlPlane,
  createNodes,
  createWorld,
  type ProcessContext,
  type Scenario,
  type SimNode,
  scenarioOf,
  TOKENS,
  type World,
} from '@serverless-ai/sim/plane'
import { endAfter } from '../ending.ts'
import { type Ground, type NodeSignal, PlatformHandle } from '../handle.ts'
import type { TestPlatform } from '../platform.ts'
import type { TwinSettings } from './builder.ts'
import { Pump } from './pump.ts'

const TESTER = 'tester'
/** A node that lost power, or was ended in order, is back after this long, ms. */
const BACK_AFTER_MS = 10_000
const LOOK_MS = 500
const READY_LIMIT_MS = 120_000
const LINES = 40
const nothing = (): void => undefined

/** Sends what happens to the processes of a simulated node. */
function signalNode(world: World, node: SimNode, { name }: NodeSignal): void {
  switch (name) {
    case 'KILL':
      node.powerCycle(BACK_AFTER_MS)
      return
    case 'TERM':
      node.supervisor.stop().catch(nothing)
      world.time.after(BACK_AFTER_MS, () => node.supervisor.start())
      return
    case 'STOP':
      node.agent.pause()
      node.supervisor.pause()
      return
    case 'CONT':
      node.supervisor.resume()
      node.agent.resume()
  }
}

/** The platform on virtual time that runs: services, agents and supervisors are the real ones. */
export class StartedVirtualTwin extends PlatformHandle implements TestPlatform {
  readonly #world: World
  readonly #pump: Pump

  /** @internal */
  constructor(ground: Ground, init: { readonly world: World; readonly pump: Pump }) {
    super(ground)
    this.#world = init.world
    this.#pump = init.pump
  }

  /** Virtual ms since the start. */
  get nowMs(): number {
    return this.#world.time.nowMs
  }

  /** Lets virtual time pass; takes as long as what happens in it. */
  advanceClock(ms: number): Promise<void> {
    return this.#pump.timers.sleep(ms)
  }

  /** Time stands still from now on; nothing of it runs outside of this process. */
  async stop(): Promise<void> {
    await this.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

const planeOf = (
  settings: TwinSettings,
  about: { readonly world: World; readonly scenario: Scenario },
): ControlPlane =>
  new ControlPlane({
    ...about,
    observe: nothing,
    tokens: settings.tokens,
    snapshots: !settings.replayAlways,
    without: settings.without,
  })

/** Makes the world, starts all of it, and lets time pass until it is ready. */
export async function startVirtual(settings: TwinSettings): Promise<StartedVirtualTwin> {
  const { nodes: count, shape, config, retries, seed, without, tokens: given } = settings
  const world = createWorld({ seed })
  world.network.setDefault(CALM_LINK)
  const { leaseMs } = config
  const scenario = {
    ...scenarioOf('calm'),
    replicas: 1,
    nodes: count,
    devicesPerNode: shape.count ?? 2,
    ...(typeof leaseMs === 'number' && { leaseMs }),
  }
  const plane = planeOf(settings, { world, scenario })
  const nodes = createNodes({ world, scenario, plane, observe: nothing })
  let tester: ProcessContext | undefined
  const process = world.machine(TESTER).process(TESTER, (context) => {
    tester = context
    return { stop: async () => undefined }
  })
  plane.start()
  for (const { supervisor } of nodes) supervisor.start()
  process.start()
  await world.time.runUntil(LOOK_MS)
  if (tester === undefined) throw new Error('the process of the tester did not start')
  const { transport, ports } = tester
  const pump = new Pump(world.time)
  const nodeIds = nodes.map(({ name }) => name)
  const { timers } = pump
  let tokens = 0
  const ground: Ground = {
    target: servicesWithout(without)
      .map((service) => plane.addressOf(service))
      .join(','),
    targetOf: (area) => plane.addressOf(area),
    topicPrefix: '',
    tokens: {
      admin: TOKENS.admin,
      'team-a': TOKENS.tenant('team-a'),
      'team-b': TOKENS.tenant('team-b'),
      ...given,
    },
    without,
    nodeIds,
    retries,
    timers,
    newToken: () => {
      tokens += 1
      return String(tokens)
    },
    connect: (options) => pump.follow(connect({ ...options, ...ports, transport })),
    signalNode: async (nodeId, signal) => {
      const node = nodes.find(({ name }) => name === nodeId)
      if (node !== undefined) signalNode(world, node, signal)
    },
    lastLines: async () => {
      const last = world.trace.last().slice(-LINES)
      return last.map(({ atMs, who, text }) => `${atMs} ${who}: ${text}`).join('\n')
    },
  }
  const started = new StartedVirtualTwin(ground, { world, pump })
  try {
    await untilReady(started, { plane, wanted: nodeIds.length })
    return started
  } catch (error) {
    return endAfter(error, [() => started.stop()])
  }
}

async function untilReady(
  started: StartedVirtualTwin,
  { plane, wanted }: { readonly plane: ControlPlane; readonly wanted: number },
): Promise<void> {
  const request = { pageSize: 1_000, pageToken: '', minPosition: '' }
  let open: readonly string[] = []
  while (started.nowMs < READY_LIMIT_MS) {
    await started.advanceClock(LOOK_MS)
    open = plane.open()
    if (open.length > 0) continue
    const { nodes } = await started.client('admin').pool.listNodes(request)
    if (nodes.filter(({ state }) => state === Node_State.READY).length >= wanted) return
    open = ['nodes are not connected']
  }
  throw new Error(`the platform is not ready: ${open.join('; ')}\n${await started.lastLines()}`)
}
