import type { ObjectiveServiceService } from '@serverless-ai/contracts/objective/v1/objective'
import type { ClientOf } from '@serverless-ai/kernel'
import { isNotServed } from '@serverless-ai/rpc'
import { isSilent, mediatorError } from '../adapters/errors.ts'
import type { JobSpec } from '../core/job-spec.ts'

/** What is asked of the SLA monitor. */
export type ObjectivesClient = Pick<ClientOf<ObjectiveServiceService>, 'listObjectives'>

/** What descriptions of services may name. */
export interface ServingKnown {
  /** Classes of requests that the gateways have. */
  readonly classes: readonly string[]
  /** Undefined = nobody can be asked: objectives are taken as they are named. */
  readonly objectives: ObjectivesClient | undefined
}

const TIMEOUT_MS = 5_000
const PAGE_SIZE = 1_000
/** Known names that an error lists. */
const LISTED_MAX = 20

/** Names of the objectives that may hold for services of a tenant. */
async function namesOf(
  objectives: ObjectivesClient,
  { tenant, signal }: { readonly tenant: string; readonly signal: AbortSignal },
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  for (let pageToken = ''; ; ) {
    const request = { pageSize: PAGE_SIZE, pageToken, minPosition: '' }
    const page = await objectives.listObjectives(request, { signal, timeoutMs: TIMEOUT_MS })
    for (const { objective } of page.objectives) {
      if (objective === undefined) continue
      if (objective.tenant === '' || objective.tenant === tenant) names.add(objective.name)
    }
    if (page.nextPageToken === '') return names
    pageToken = page.nextPageToken
  }
}

const listed = (names: Iterable<string>): string => {
  const sorted = [...names].sort()
  const more = sorted.length > LISTED_MAX ? `, and ${sorted.length - LISTED_MAX} more` : ''
  return `${sorted.slice(0, LISTED_MAX).join(', ')}${more}`
}

/**
 * What a service names has to be there when it is submitted or updated: nobody would ever tell
 * that a name was mistyped. Objectives may end later: then they count no more. Without an SLA
 * monitor that answers, they are taken as they are.
 * @throws `CLASS_UNKNOWN`, `OBJECTIVE_NOT_FOUND`
 */
export async function checkServing(
  { service }: JobSpec,
  about: { readonly tenant: string; readonly signal: AbortSignal },
  { classes, objectives }: ServingKnown,
): Promise<void> {
  if (service === undefined) return
  if (!classes.includes(service.requestClass)) {
    const description = `is none of ${classes.join(', ')}`
    throw mediatorError(
      'CLASS_UNKNOWN',
      { class: service.requestClass, known: classes.join(', ') },
      [{ field: 'spec.serve.class', description }],
    )
  }
  if (service.objectives.length === 0 || objectives === undefined) return
  const known = await namesOf(objectives, about).catch((error: unknown) => {
    // What says something of the monitor says nothing of the names.
    if (isSilent(error) || isNotServed(error)) return undefined
    throw error
  })
  const missing = service.objectives.find((name) => known?.has(name) === false)
  if (known === undefined || missing === undefined) return
  throw mediatorError(
    'OBJECTIVE_NOT_FOUND',
    { objective: missing, tenant: about.tenant, known: listed(known) },
    [{ field: 'spec.serve.objectives', description: `there is no objective "${missing}"` }],
  )
}
