/**
 * Feature levels: what may be written into a log that several versions read. A new event, or a new
 * meaning, belongs to a level and stays off until the log says `FeatureLevelRaised`; until then the
 * version before can lead again. See `eventLevels` of a service definition.
 */
import { type Message, RpcError } from '@serverless-ai/kernel'
import type { Framework } from './framework.ts'
import type { ServiceDefinition } from './types.ts'

/** Level of a log that says nothing of levels. */
export const FIRST_LEVEL = 1
/** Highest level that this version of the platform knows: it can lead logs up to it. */
export const FEATURE_LEVEL = 2

/** This version does not know the level that its log is at: it does not lead. */
export class FeatureLevelError extends Error {
  override readonly name = 'FeatureLevelError'
}

/** Highest level that a service knows. */
export const knownLevel = (
  definition: Pick<ServiceDefinition<never, Message, Message>, 'featureLevel'>,
): number => definition.featureLevel ?? FEATURE_LEVEL

/** Level that the log is at. */
export const levelInUse = ({ featureLevel }: Pick<Framework, 'featureLevel'>): number =>
  Math.max(FIRST_LEVEL, featureLevel)

/** Level from which on an event may be written. */
export const levelOf = (
  { eventLevels }: Pick<ServiceDefinition<never, Message, Message>, 'eventLevels'>,
  type: string,
): number => eventLevels?.[type] ?? FIRST_LEVEL

/**
 * Throws what an operator is told who asks for a level that the log cannot be raised to by this
 * version: FAILED_PRECONDITION `FEATURE_LEVEL_UNKNOWN` or `FEATURE_LEVEL_LOWER`.
 */
export function checkRaise(
  service: string,
  levels: { readonly wanted: number; readonly known: number; readonly inUse: number },
): void {
  const { wanted, known, inUse } = levels
  const metadata = { service, wanted: `${wanted}`, known: `${known}`, inUse: `${inUse}` }
  const refuse = (reason: string, message: string): RpcError =>
    new RpcError({ code: 'FAILED_PRECONDITION', reason, message, metadata })
  if (!Number.isSafeInteger(wanted) || wanted > known) {
    const message = `${service} is led by a version that knows feature levels up to ${known}`
    throw refuse('FEATURE_LEVEL_UNKNOWN', `${message}, not ${wanted}: upgrade all replicas first`)
  }
  if (wanted < inUse) {
    const message = `${service} is at feature level ${inUse}, and no level is ever taken back`
    throw refuse('FEATURE_LEVEL_LOWER', message)
  }
}
