import { RequestRecord_Outcome } from '@serverless-ai/contracts/telemetry/v1/telemetry'

export const Outcome: typeof RequestRecord_Outcome = RequestRecord_Outcome
export type Outcome = RequestRecord_Outcome

/** A request that has ended, as it is measured. Times are of the monotonic clock, ms. */
export interface Measured {
  readonly requestId: string
  readonly jobId: string
  readonly service: string
  readonly tenant: string
  readonly class: string
  readonly outcome: Outcome
  /** Code of the error catalogue; empty = none. */
  readonly reason: string
  readonly httpStatus: number | undefined
  readonly arrivedWallMs: number
  readonly arrivedMs: number
  readonly givenMs: number | undefined
  readonly firstByteMs: number | undefined
  readonly firstTokenMs: number | undefined
  readonly lastTokenMs: number | undefined
  readonly endedMs: number
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
  /** Events of a stream; each is a token where the replica does not say better. */
  readonly events: number
  readonly gang: number | undefined
  readonly generation: number | undefined
  readonly attempts: number
  readonly fromZero: boolean
}

/** Takes what was measured. */
export interface RequestMeter {
  ended(measured: Measured): void
}
