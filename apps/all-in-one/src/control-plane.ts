import type { NestFastifyApplication } from '@nestjs/platform-fastify'
import { AutoscalerModule } from '@serverless-ai/autoscaler'
import { type OptionalService, REQUEST_CLASSES } from '@serverless-ai/contracts/services'
import { FaultToleranceModule } from '@serverless-ai/fault-tolerance'
import { type EdgeConfig, GatewayModule } from '@serverless-ai/gateway'
import { createPlatformApp, PlatformModule, type PlatformOptions } from '@serverless-ai/hosting'
import { MediatorModule } from '@serverless-ai/mediator'
import { PoolManagerModule } from '@serverless-ai/pool-manager'
import { ResourceProfilerModule } from '@serverless-ai/resource-profiler'
import { SchedulerModule } from '@serverless-ai/scheduler'
import { SlaMonitorModule } from '@serverless-ai/sla-monitor'
import type { AllInOneConfig } from './config.ts'

/** The nodes end first: no replica is left that could answer what the edge still holds. */
const EDGE_STOP_GRACE_MS = 500

/**
 * All services in one process: the same modules that run alone, calling each other by gRPC over the
 * loopback. The edge is there where `edge` is; `without` names what is left out.
 */
export function createControlPlane(
  options: PlatformOptions,
  config: Pick<AllInOneConfig, 'leaseMs' | 'workspacesMaxMib' | 'scaling'> & {
    readonly without?: readonly OptionalService[]
    readonly edge?: EdgeConfig
    readonly host?: string
    readonly port?: number
  },
): Promise<NestFastifyApplication> {
  const { edge, host = '127.0.0.1', port = 0, without = [] } = config
  const classes = edge?.classes ?? REQUEST_CLASSES
  const unless = <M>(service: OptionalService, module: () => M): M[] =>
    without.includes(service) ? [] : [module()]
  return createPlatformApp(PlatformModule.with(options), [
    MediatorModule.with({ workspaces: { maxTotalMib: config.workspacesMaxMib }, classes }),
    SchedulerModule.with(),
    PoolManagerModule.with({ leaseMs: config.leaseMs }),
    FaultToleranceModule.with(),
    ...unless('sla-monitor', () => SlaMonitorModule.with({ classes })),
    ...unless('autoscaler', () => AutoscalerModule.with(config.scaling)),
    ...unless('resource-profiler', () => ResourceProfilerModule.with()),
    ...(edge === undefined
      ? []
      : unless('gateway', () => GatewayModule.with({ host, port }, endsSoon(edge)))),
  ])
}

const endsSoon = (edge: EdgeConfig): EdgeConfig => ({
  ...edge,
  stopGraceMs: Math.min(edge.stopGraceMs, EDGE_STOP_GRACE_MS),
})
