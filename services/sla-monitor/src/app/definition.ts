import type { ServiceDefinition, ServiceRuntime } from '@serverless-ai/runtime'
import { inputs } from '../adapters/inputs.ts'
import { publish, snapshotFeed } from '../adapters/public-events.ts'
import { slaDecider } from '../core/decider.ts'
import { commandOfTimer, type SlaCommand, type SlaEvent } from '../core/messages.ts'
import type { SlaState } from '../core/model.ts'

/** Runtime of the SLA monitor. */
export type SlaRuntime = ServiceRuntime<SlaState, SlaCommand, SlaEvent>

/** The SLA monitor as the runtime runs it. It has no effects: it never calls another service. */
export function slaMonitorDefinition(): ServiceDefinition<SlaState, SlaCommand, SlaEvent> {
  return {
    name: 'sla-monitor',
    schemaVersion: 1,
    decider: slaDecider,
    publish,
    snapshotFeed,
    inputs,
    onTimer: commandOfTimer,
  }
}
