import type { CallObserver } from '@serverless-ai/rpc'
import type { Metrics } from '@serverless-ai/telemetry'

/** Calls of a process, both sides, as metrics. */
export function callObserver(metrics: Metrics): CallObserver {
  const { process } = metrics
  return {
    called({ side, method, code, tookMs, streaming }) {
      metrics.add(`sai_rpc_${side}_calls_total`, { process, method, code })
      if (streaming) return
      metrics.observe(`sai_rpc_${side}_seconds`, { process, method }, tookMs / 1_000)
    },
  }
}
