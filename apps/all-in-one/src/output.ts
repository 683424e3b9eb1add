import { resolve } from 'node:path'
import { type PlatformOptions, VERSION } from '@serverless-ai/hosting'
import type { AllInOneConfig } from './config.ts'
import type { LocalNodesStarted } from './local-nodes.ts'

/** How the platform speaks to the person who started it. */
export interface PlatformOutput {
  readonly say: (line: string) => void
}

/** Says what was started and where it can be reached. */
export function greet(
  { say }: PlatformOutput,
  about: { config: AllInOneConfig; options: PlatformOptions; local: LocalNodesStarted },
): void {
  const { config, options, local } = about
  say(`serverless-ai ${VERSION} · development mode: loopback only, static tokens, no TLS`)
  say(`  gRPC    ${options.listen} (all services, reflection)`)
  say(`  health  http://${config.host}:${config.port + 1}/readyz`)
  say(`  data    ${resolve(config.data)} (${options.eventLog.durability})`)
  if (config.devicesPerNode > 0 && config.nodes > 0) {
    const model = `emulated/${config.deviceModel}`
    say(`  devices ${config.nodes} × ${config.devicesPerNode} ${model}: EMULATED, none behind them`)
  }
  if (local.adopted > 0) say(`  nodes   ${local.adopted} still running from before: adopted`)
  if (local.dropped.length > 0) say(`  nodes   ${local.dropped.join(', ')} ended: not wanted now`)
  if (local.notice !== '') say(`  note    ${local.notice}`)
}
