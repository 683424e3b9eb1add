import type { HttpRule } from '@serverless-ai/contracts'
import { SERVICE_NAMES, type ServiceName } from '@serverless-ai/contracts/services'
import { invariant } from '@serverless-ai/kernel'

/** Owner of each proto package. */
const OWNERS: Readonly<Record<string, ServiceName>> = {
  'serverlessai.job.v1': 'mediator',
  'serverlessai.schedule.v1': 'scheduler',
  'serverlessai.pool.v1': 'pool-manager',
  'serverlessai.recovery.v1': 'fault-tolerance',
  'serverlessai.objective.v1': 'sla-monitor',
  'serverlessai.scaling.v1': 'autoscaler',
  'serverlessai.profile.v1': 'resource-profiler',
}
/** Each service has a feed: its request says whose it is. */
const FEEDS = 'serverlessai.feed.v1'

/**
 * The service that answers calls of a rule. `named`: what the path says, where it names one.
 * Undefined = it names none that there is.
 */
export function ownerOf({ method }: HttpRule, named: string | undefined): ServiceName | undefined {
  const { proto } = method.parent.file
  if (proto.package === FEEDS) return SERVICE_NAMES.find((name) => name === named)
  const owner = OWNERS[proto.package]
  invariant(owner !== undefined, `${proto.package} is served by HTTP and has no owner`)
  return owner
}
