import type { Message } from '@serverless-ai/kernel'
import type { InputSource, PublicEvent } from './types.ts'

/** The command by which everything known of a source is replaced by its full state. */
export interface ReplaceSource<I extends Message> {
  readonly type: 'ReplaceSource'
  readonly source: string
  /** What each event of the full state means. */
  readonly commands: readonly I[]
}

/** A source whose events mean the same one by one and as a full state. */
export function replacingSource<I extends Message>(
  service: string,
  toCommand: (event: PublicEvent) => I | undefined,
): InputSource<I | ReplaceSource<I>> {
  return {
    service,
    toCommand,
    replaced: (events) => ({
      type: 'ReplaceSource',
      source: service,
      commands: events.flatMap((event) => toCommand(event) ?? []),
    }),
  }
}
