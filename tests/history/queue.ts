import { connect } from '@serverless-ai/client'
import type { Cluster } from './cluster.ts'

/** Makes a queue of the tenant's name. */
export async function makeQueue(cluster: Cluster, tenant: string): Promise<void> {
  const address = cluster.addressOf('scheduler')
  await using platform = connect({ address, token: cluster.tokens.admin })
  await platform.createQueue({ name: tenant, tenant })
}
