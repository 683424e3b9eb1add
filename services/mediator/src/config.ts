import { requestClasses, serviceConfig } from '@serverless-ai/hosting'
import { z } from 'zod'

/** Keys of the mediator itself; every one has a default. */
export const workspacesConfig = z.object({
  maxTotalMib: z.number().int().min(128).max(1_000_000_000).default(10_240).meta({
    description: 'Most that uploaded workspaces may take, MiB; the oldest unused go first',
  }),
})

/** Keys of a mediator that is started alone. */
export const mediatorConfig = serviceConfig.extend({
  workspaces: workspacesConfig.prefault({}),
  classes: requestClasses,
})

/** What the module needs to know. */
export interface MediatorConfig {
  readonly workspaces: { readonly maxTotalMib: number }
  /** Classes of requests that the gateways have. */
  readonly classes: readonly string[]
}
