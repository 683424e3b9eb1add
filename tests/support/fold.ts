import { autoscalerDefinition } from '@serverless-ai/autoscaler'
import { faultToleranceDefinition } from '@serverless-ai/fault-tolerance'
import { SERVICE_NAMES, type ServiceName } from '@serverless-ai/hosting/process'
import { RpcError } from '@serverless-ai/kernel'
import { mediatorDefinition } from '@serverless-ai/mediator'
import { poolManagerDefinition } from '@serverless-ai/pool-manager'
import { resourceProfilerDefinition } from '@serverless-ai/resource-profiler'
import { type FoldedLog, type FoldSource, foldLog } from '@serverless-ai/runtime/replay'
import { schedulerDefinition } from '@serverless-ai/scheduler'
import { slaMonitorDefinition } from '@serverless-ai/sla-monitor'
import { quietPorts as ports } from './quiet-ports.ts'

/** Services of the control plane, each with a log of its own. */
export const SERVICES = SERVICE_NAMES
export type Service = ServiceName

const nobody = (): Promise<never> =>
  Promise.reject(
    new RpcError({ code: 'UNAVAILABLE', reason: 'UNAVAILABLE', message: 'a fold calls nobody' }),
  )
const scheduler = {
  validate: nobody,
  enqueue: nobody,
  cancel: nobody,
  recover: nobody,
  giveUp: nobody,
  resize: nobody,
  update: nobody,
  explain: nobody,
}

/** Folds the log of a service with the service's own core. */
export function foldService(service: Service, source: FoldSource): Promise<FoldedLog<unknown>> {
  switch (service) {
    case 'mediator':
      return foldLog(mediatorDefinition(scheduler), source, ports)
    case 'scheduler':
      return foldLog(schedulerDefinition(), source, ports)
    case 'pool-manager':
      return foldLog(poolManagerDefinition(), source, ports)
    case 'fault-tolerance':
      return foldLog(faultToleranceDefinition(scheduler), source, ports)
    case 'sla-monitor':
      return foldLog(slaMonitorDefinition(), source, ports)
    case 'autoscaler':
      return foldLog(autoscalerDefinition(scheduler), source, ports)
    case 'resource-profiler':
      return foldLog(resourceProfilerDefinition(), source, ports)
  }
}
