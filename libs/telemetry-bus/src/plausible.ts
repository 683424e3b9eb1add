import type { RequestRecord } from '@serverless-ai/contracts/telemetry/v1/telemetry'

/** No request takes longer, microseconds (30 days). */
const LONGEST_US = 30n * 86_400_000_000n

/** Longest name of a source, a boot, a job, a tenant or a class. */
export const NAME_MAX = 200

/** False for times that cannot be: too long, or a part that is longer than the whole. */
export const timesHold = ({
  e2eUs,
  ttftUs = 0n,
  queueUs = 0n,
}: Pick<RequestRecord, 'e2eUs' | 'ttftUs' | 'queueUs'>): boolean =>
  e2eUs <= LONGEST_US && ttftUs <= e2eUs && queueUs <= e2eUs
