import { serviceConfig } from '@serverless-ai/hosting'

/** Keys of the resource profiler: those every service has. */
export const resourceProfilerConfig = serviceConfig
