import { serviceConfig } from '@serverless-ai/hosting'

/** Keys of fault tolerance: those every service has. Retry budgets are the jobs' own. */
export const faultToleranceConfig = serviceConfig
