import { Scale_Unit, type Scale as ScaleProto } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { Scale } from '../core/model.ts'

/** A scale as the scheduler told it. */
export function scaleFromProto(proto: ScaleProto): Scale {
  const { min, max, wanted, granted, ready, draining, owner, decisionId } = proto
  return {
    unit: proto.unit === Scale_Unit.TASKS ? 'Tasks' : 'Replicas',
    ...{ min, max, wanted, granted, ready, draining },
    version: Number(proto.version),
    owner,
    decisionId,
    changedMs: Number(proto.changedMs),
    notBeforeMs: Number(proto.notBeforeMs),
  }
}

/** A scale for those who ask for the job. */
export function scaleToProto(scale: Scale): ScaleProto {
  const { unit, version, changedMs, notBeforeMs, ...same } = scale
  return {
    ...same,
    unit: unit === 'Tasks' ? Scale_Unit.TASKS : Scale_Unit.REPLICAS,
    version: BigInt(version),
    changedMs: BigInt(changedMs),
    notBeforeMs: BigInt(notBeforeMs),
  }
}
