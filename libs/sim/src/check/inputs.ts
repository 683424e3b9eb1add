/**
 * Marks of consumed sources only grow, never beyond what the source effectively said, and no input
 * has to be set aside.
 */
import { placeText } from './names.ts'
import type { CommitSeen } from './seen.ts'
import type { WatcherFactory } from './watcher.ts'

/** Follows marks and parked inputs. */
export const inputs: WatcherFactory = ({ alarm }) => {
  /** Service → last public seq of its effective log. */
  const said = new Map<string, number>()
  const marks = (seen: CommitSeen): void => {
    for (const { source, seq } of seen.commit.marks) {
      const before = seen.markBefore(source)
      const effective = said.get(source) ?? 0
      if (seq >= before && seq <= effective) continue
      const what = `mark of ${source} in ${placeText(seen)} is ${seq}, it was ${before}`
      const text = `${source} has effectively said ${effective} events`
      alarm(seen.service, `${what}, and ${text}: marks only grow, and not beyond that`)
    }
  }
  return {
    committed(seen) {
      marks(seen)
      const last = seen.commit.publics.at(-1)
      if (last !== undefined) said.set(seen.service, last.seq)
      for (const { type, json } of seen.commit.runtime) {
        if (type !== 'InputParked') continue
        const what = `${json.text('name')} ${json.text('key')} of ${json.text('source')}`
        const text = `an input is set aside in ${placeText(seen)}: ${what}`
        alarm(seen.service, `${text} (seq ${json.number('seq')}): ${json.text('error')}`)
      }
    },
  }
}
