import { resolve } from 'node:path'
import { edgeAddress } from '@serverless-ai/gateway'
import { type PlatformOptions, SERVICE_NAMES, VERSION } from '@serverless-ai/hosting'
import type { AllInOneConfig } from './config.ts'
import { addressesOf, type ServiceProcess } from './distributed/plan.ts'
import type { LocalNodesStarted } from './local-nodes.ts'

/** Where callers of services and of the REST API go. */
export function edgeUrl(config: AllInOneConfig): string {
  const { host, port } = edgeAddress(config, config.edge)
  return `http://${host}:${port}`
}

/** The same where there is an edge, else undefined. */
export const edgeIfAny = (config: AllInOneConfig): string | undefined =>
  config.without.includes('gateway') ? undefined : edgeUrl(config)

/** How the platform speaks to the person who started it. */
export interface PlatformOutput {
  readonly say: (line: string) => void
}

/** Says what was started and where it can be reached. */
export function greet(
  { say }: PlatformOutput,
  about: { config: AllInOneConfig; options: PlatformOptions; local: LocalNodesStarted },
): void {
  const { config, options } = about
  say(`serverless-ai ${VERSION} · development mode: loopback only, static tokens, no TLS`)
  say(`  gRPC    ${options.listen} (all services, reflection)`)
  greetEdge({ say }, config)
  say(`  health  http://${config.host}:${config.port + 1}/readyz`)
  say(`  data    ${resolve(config.data)} (${options.eventLog.durability})`)
  greetNodes({ say }, about)
}

/** Says which processes were started and where they can be reached. */
export function greetDistributed(
  { say }: PlatformOutput,
  about: {
    config: AllInOneConfig
    plan: readonly ServiceProcess[]
    topics: string
    local: LocalNodesStarted
  },
): void {
  const { config, plan, topics } = about
  say(`serverless-ai ${VERSION} · development mode: loopback only, static tokens, no TLS`)
  say(`  kafka   ${config.kafka.brokers.join(', ')}: ${topics}`)
  for (const service of SERVICE_NAMES) {
    const addresses = addressesOf(plan, service)
    if (addresses !== '') say(`  gRPC    ${addresses} (${service})`)
  }
  greetEdge({ say }, config)
  say(`  health  http://${config.host}:${config.port + 1}/readyz`)
  const holds = 'tokens, snapshots, workspaces; processes.json says who is who'
  say(`  data    ${resolve(config.data)} (${holds})`)
  greetNodes({ say }, about)
}

function greetEdge({ say }: PlatformOutput, config: AllInOneConfig): void {
  const edge = edgeIfAny(config)
  if (edge !== undefined)
    say(`  edge    ${edge} (services of tenants: /services/TENANT/NAME/, /v1)`)
}

function greetNodes(
  { say }: PlatformOutput,
  { config, local }: { config: AllInOneConfig; local: LocalNodesStarted },
): void {
  if (config.devicesPerNode > 0 && config.nodes > 0) {
    const model = `emulated/${config.deviceModel}`
    say(`  devices ${config.nodes} × ${config.devicesPerNode} ${model}: EMULATED, none behind them`)
  }
  if (local.adopted > 0) say(`  nodes   ${local.adopted} still running from before: adopted`)
  if (local.dropped.length > 0) say(`  nodes   ${local.dropped.join(', ')} ended: not wanted now`)
  if (local.notice !== '') say(`  note    ${local.notice}`)
}
