import { AgentServiceService } from '@serverless-ai/contracts/agent/v1/agent'
import { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import { type PoolRuntime, poolManagerDefinition } from './app/definition.ts'
import { watchPool } from './app/metrics.ts'
import { createPoolApp } from './app/pool-app.ts'
import type { PoolManagerConfig } from './config.ts'

export type { PoolRuntime } from './app/definition.ts'
export type { PoolManagerConfig } from './config.ts'

/** Makes the pool manager in a process of the control plane; it starts and stops with it. */
export function installPoolManager(
  kit: ServiceKit,
  { leaseMs }: PoolManagerConfig,
): { readonly runtime: PoolRuntime } {
  const { host, ports, server, metrics } = kit
  const runtime = host.add(poolManagerDefinition())
  const app = createPoolApp({ runtime, ports, leaseMs })
  server.add(AgentServiceService, app.agents)
  server.add(PoolServiceService, app.pool)
  if (metrics !== undefined) watchPool(metrics, runtime)
  kit.onStart(app.start)
  kit.onStop(app.stop)
  return { runtime }
}
