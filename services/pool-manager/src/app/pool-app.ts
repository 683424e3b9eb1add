import type { AgentServiceService } from '@serverless-ai/contracts/agent/v1/agent'
import type { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import type { HandlersOf, Ports } from '@serverless-ai/kernel'
import type { ExecutionKey } from '../core/model.ts'
import { AgentHub } from './agent-hub.ts'
import type { PoolRuntime } from './definition.ts'
import { LeaseWatch } from './lease-watch.ts'
import { PoolHandlers } from './pool-handlers.ts'
import { LogReader } from './read-logs.ts'
import { TaskSpans } from './task-spans.ts'

/** What the application layer needs. */
export interface PoolAppOptions {
  readonly runtime: PoolRuntime
  readonly ports: Pick<Ports, 'clock' | 'timers' | 'logger' | 'tracer'>
  /** Lease of a node, ms. */
  readonly leaseMs: number
}

/** The application layer of the pool manager: agents, leases, logs, reads. */
export interface PoolApp {
  readonly agents: HandlersOf<AgentServiceService>
  readonly pool: HandlersOf<PoolServiceService>
  /** Begins to listen to the runtime; call it before or after the runtime's start. */
  start(): void
  /** Ends all streams of agents and the watch over leases. */
  stop(): void
}

/** Builds the application layer over a runtime. */
export function createPoolApp(options: PoolAppOptions): PoolApp {
  const { runtime, ports, leaseMs } = options
  const { clock, timers, tracer } = ports
  const logger = ports.logger.child({ service: 'pool-manager' })
  const spans = tracer && new TaskSpans(tracer, runtime)
  const traceOf = spans && ((key: ExecutionKey) => spans.contextOf(key))
  const hub = new AgentHub({ runtime, clock, timers, logger, leaseMs, traceOf })
  const watch = new LeaseWatch({ runtime, hub, clock, timers, logger, leaseMs })
  const handlers = new PoolHandlers(runtime)
  const logs = new LogReader({ runtime, hub })
  return {
    agents: { connect: (requests, context) => hub.connect(requests, context) },
    pool: {
      listNodes: (request, context) => handlers.listNodes(request, context),
      listExecutions: (request, context) => handlers.listExecutions(request, context),
      readLogs: (request, context) => logs.readLogs(request, context),
    },
    start: () => {
      spans?.start()
      hub.start()
      watch.start()
    },
    stop: () => {
      watch.stop()
      hub.stop()
      spans?.stop()
    },
  }
}
