import { Node_State, PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import type { Peers } from '@serverless-ai/hosting'
import { RpcError } from '@serverless-ai/kernel'

/** Says how many of the configured nodes are not connected yet. */
export function nodesReady(peers: Peers, wanted: number) {
  return async (): Promise<readonly string[]> => {
    const pool = peers.client(PoolServiceService, 'pool-manager')
    try {
      const { nodes } = await pool.listNodes({ pageSize: 1_000, pageToken: '', minPosition: '' })
      const ready = nodes.filter((node) => node.state === Node_State.READY).length
      return ready >= wanted ? [] : [`${ready} of ${wanted} local nodes are connected`]
    } catch (error) {
      // A bootstrap may have tried the channel before this process listened: it backs off for a
      // moment.
      if (!(error instanceof RpcError)) throw error
      return [`the pool manager does not answer: ${error.message}`]
    }
  }
}
