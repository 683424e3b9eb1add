import { Reason as ProtoReason, Reason_Code } from '@serverless-ai/contracts/common/v1/common'
import type { Reason } from '../core/model.ts'

const NAMES = new Map(Object.entries(Reason_Code).map(([name, code]) => [code, name]))

/** The number of a code, 0 for one that is not known here. */
function codeOf(name: string): Reason_Code {
  for (const [code, known] of NAMES) if (known === name) return code
  return Reason_Code.UNSPECIFIED
}

/** A reason as recorded; null when the message has none. */
export function reasonFromProto(reason: ProtoReason | undefined): Reason | null {
  if (reason === undefined || reason.code === Reason_Code.UNSPECIFIED) return null
  return {
    code: NAMES.get(reason.code) ?? 'UNRECOGNIZED',
    shortfalls: reason.shortfalls.map((shortfall) => ({
      dimension: shortfall.dimension,
      want: Number(shortfall.want),
      free: Number(shortfall.free),
      total: Number(shortfall.total),
      nodeId: shortfall.nodeId,
      perTask: shortfall.perTask,
    })),
    nodesTotal: reason.nodesTotal,
    nodesFiltered: reason.nodesFiltered,
    jobsAhead: reason.jobsAhead,
    untilMs: Number(reason.untilMs),
  }
}

/** A recorded reason as a message. */
export function reasonToProto(reason: Reason | null): ProtoReason | undefined {
  if (reason === null) return undefined
  return {
    code: codeOf(reason.code),
    shortfalls: reason.shortfalls.map((shortfall) => ({
      ...shortfall,
      want: BigInt(shortfall.want),
      free: BigInt(shortfall.free),
      total: BigInt(shortfall.total),
    })),
    nodesTotal: reason.nodesTotal,
    nodesFiltered: reason.nodesFiltered,
    jobsAhead: reason.jobsAhead,
    untilMs: BigInt(reason.untilMs),
  }
}
