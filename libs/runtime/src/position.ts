import { RpcError } from '@serverless-ai/kernel'
import type { PositionToken } from './types.ts'

/** A place in a service's history: the position in its own log and the public seq after it. */
export interface Position {
  readonly service: string
  readonly partition: number
  /** Position of the last effective record; -1 = nothing yet. */
  readonly position: number
  /** Last public seq committed up to there; 0 = none. */
  readonly publicSeq: number
}

/** Opaque token of a position. */
export function formatPosition(at: Position): PositionToken {
  return `${at.service}:${at.partition}:${at.position}:${at.publicSeq}`
}

/** Position of a token. Throws RpcError INVALID_ARGUMENT `POSITION_INVALID`. */
export function parsePosition(token: PositionToken): Position {
  const match = /^([a-z][a-z0-9-]{0,62}):(\d{1,9}):(-1|\d{1,15}):(\d{1,15})$/.exec(token)
  if (match === null) {
    throw new RpcError({
      code: 'INVALID_ARGUMENT',
      reason: 'POSITION_INVALID',
      message: 'the position is none that this platform gave out',
    })
  }
  return {
    service: match[1]!,
    partition: Number(match[2]),
    position: Number(match[3]),
    publicSeq: Number(match[4]),
  }
}
