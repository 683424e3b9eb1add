import { requestClasses, serviceConfig } from '@serverless-ai/hosting'

/** Keys of the SLA monitor. Objectives are data, not configuration. */
export const slaMonitorConfig = serviceConfig.extend({ classes: requestClasses })

/** What the module needs to know. */
export interface SlaMonitorConfig {
  /** Classes of requests that the gateways have. */
  readonly classes: readonly string[]
}
