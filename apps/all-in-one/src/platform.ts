import { resolve } from 'node:path'
import { Node_State, PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import {
  type Credentials,
  openPlatform,
  PEERS,
  type Peers,
  type PlatformOptions,
  Readiness,
  systemPorts,
  VERSION,
} from '@serverless-ai/hosting'
import { RpcError } from '@serverless-ai/kernel'
import { writeCliContext } from './cli-context.ts'
import { type AllInOneConfig, nodeIdsOf, QUICKSTART_TENANTS } from './config.ts'
import { createControlPlane } from './control-plane.ts'
import { LocalNodes, localNodeConfigs } from './local-nodes.ts'
import { runQuickstart } from './quickstart.ts'

/** How the platform speaks to the person who started it. */
export interface PlatformOutput {
  readonly say: (line: string) => void
}

/** A running platform. */
export interface RunningPlatform {
  /** Ends tasks, nodes and control plane, in that order. */
  stop(): Promise<void>
}

type Opened = { readonly options: PlatformOptions; readonly credentials: Credentials }

/** Opens data directory, log and tokens of the all-in-one. */
export function openAllInOne(config: AllInOneConfig): Promise<Opened> {
  return openPlatform({
    config,
    ports: systemPorts('all-in-one', config.logLevel),
    tenants: QUICKSTART_TENANTS,
    nodes: nodeIdsOf(config),
    peers: {},
    required: [],
  })
}

/** Says how many of the configured nodes are not connected yet. */
function nodesReady(peers: Peers, wanted: number) {
  return async (): Promise<readonly string[]> => {
    const pool = peers.client(PoolServiceService, 'pool-manager')
    try {
      const { nodes } = await pool.listNodes({ pageSize: 1_000, pageToken: '', minPosition: '' })
      const ready = nodes.filter((node) => node.state === Node_State.READY).length
      return ready >= wanted ? [] : [`${ready} of ${wanted} local nodes are connected`]
    } catch (error) {
      // A bootstrap may have tried the channel before this process listened: it backs off for a moment.
      if (!(error instanceof RpcError)) throw error
      return [`the pool manager does not answer: ${error.message}`]
    }
  }
}

/** Starts everything on opened ground; `opened` may carry wrapped ports (fault tests do that). */
export async function startPlatform(
  config: AllInOneConfig,
  output: PlatformOutput,
  opened?: Opened,
): Promise<RunningPlatform> {
  const startedMs = performance.now()
  const { options, credentials } = opened ?? (await openAllInOne(config))
  const { ports, dataDir } = options
  const tokens = credentials.nodes
  const nodes = new LocalNodes(ports, localNodeConfigs({ config, dataDir, tokens }))
  const app = await createControlPlane(options, config)
  await app.init()
  const local = await nodes.start()
  const readiness = app.get(Readiness)
  const check = nodesReady(app.get(PEERS), config.nodes)
  readiness.add(check)
  await app.listen(config.port + 1, config.host)
  writeCliContext({ dataDir, address: options.listen, credentials })
  greet({ config, options, output, local })
  while ((await readiness.missing()).length > 0) await ports.timers.sleep(25)
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
  output.say(`ready in ${seconds} s: ${config.nodes} nodes connected`)
  if (config.quickstart) await runQuickstart({ options, credentials, config, output })
  return {
    async stop() {
      output.say('stopping: tasks, nodes, control plane (jobs go on at the next start)')
      await nodes.stop()
      await app.close()
      output.say('stopped')
    },
  }
}

function greet(init: {
  config: AllInOneConfig
  options: PlatformOptions
  output: PlatformOutput
  local: { readonly adopted: number; readonly notice: string }
}): void {
  const { config, options, output, local } = init
  const { say } = output
  say(`serverless-ai ${VERSION} · development mode: loopback only, static tokens, no TLS`)
  say(`  gRPC    ${options.listen} (all services, reflection)`)
  say(`  health  http://${config.host}:${config.port + 1}/readyz`)
  say(`  data    ${resolve(config.data)} (${options.eventLog.durability})`)
  if (config.devicesPerNode > 0 && config.nodes > 0) {
    const model = `emulated/${config.deviceModel}`
    say(
      `  devices ${config.nodes} × ${config.devicesPerNode} ${model}: EMULATED, no accelerator behind them`,
    )
  }
  if (local.adopted > 0) say(`  nodes   ${local.adopted} still running from before: adopted`)
  if (local.notice !== '') say(`  note    ${local.notice}`)
}
