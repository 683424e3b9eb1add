import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import { RpcError, type Transport } from '@serverless-ai/kernel'
import type { LeaderHealth } from '@serverless-ai/runtime'

/**
 * Asks a leader for its claim by `grpc.health.v1.Health/Check` at the address of the claim. Of a
 * claim that the process there does not know it is not serving; where the connection is refused or
 * breaks, nobody leads any more. A deadline or an abort is no answer.
 */
export function askLeaderHealth(transport: Transport): LeaderHealth {
  return async (address, claim, signal) => {
    const health = transport.client(HealthService, { address })
    try {
      const { status } = await health.check({ service: claim }, { signal })
      return status === HealthCheckResponse_ServingStatus.SERVING ? 'serving' : 'not-serving'
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      if (error.code === 'UNAVAILABLE') return 'refused'
      if (error.code === 'NOT_FOUND') return 'not-serving'
      throw error
    }
  }
}
