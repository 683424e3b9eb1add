import { serviceConfig } from '@serverless-ai/hosting'

/**
 * Keys of the scheduler: those every service has. Queues and their limits are data, not
 * configuration.
 */
export const schedulerConfig = serviceConfig
