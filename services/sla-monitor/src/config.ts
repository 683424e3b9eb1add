import { serviceConfig } from '@serverless-ai/hosting'

/** Keys of the SLA monitor: those every service has. Objectives are data, not configuration. */
export const slaMonitorConfig = serviceConfig
