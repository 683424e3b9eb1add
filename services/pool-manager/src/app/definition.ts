import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { poolDecider } from '../core/decider.ts'
import { type PoolCommand, type PoolEvent, SERVING_EVENTS } from '../core/messages.ts'
import { SERVING_LEVEL } from '../core/model.ts'
import type { PoolState } from '../core/state.ts'

/** Runtime of the pool manager. */
export type PoolRuntime = ServiceRuntime<PoolState, PoolCommand, PoolEvent>

/**
 * The pool manager as the runtime sees it. It has no effects and no timers: leases are volatile,
 * see `lease-watch.ts`.
 */
export function poolManagerDefinition(): ServiceDefinition<PoolState, PoolCommand, PoolEvent> {
  return {
    name: 'pool-manager',
    schemaVersion: 1,
    eventLevels: Object.fromEntries(SERVING_EVENTS.map((type) => [type, SERVING_LEVEL])),
    decider: poolDecider,
    publish,
    snapshotFeed,
    inputs,
  }
}
