/**
 * Who reads with the position of an accepted request finds what it did, and nobody reads what the
 * effective log never said (promise P4). A watch shows states in the order of the log, up to the
 * end and nothing behind it.
 */
import { SERVICES, secondsText } from './names.ts'
import type { CommitSeen } from './seen.ts'
import type { Observation } from './types.ts'
import type { TellAlarm, WatcherFactory } from './watcher.ts'

type Read = Extract<Observation, { kind: 'read' }>
type Watched = Extract<Observation, { kind: 'watched' }>

/** How far a watch has come. */
interface Watching {
  readonly watch: string
  /** Index of the shown state at the earliest. */
  readonly at: number
  readonly state: string
}

const FINISHED: ReadonlySet<string> = new Set(['succeeded', 'failed', 'cancelled', 'rejected'])

/** State that the mediator shows from a position of its log on. */
interface Shown {
  readonly position: number
  readonly state: string
}

/** `STATE_QUEUED`, `Queued` and `queued` are one word. */
const plain = (state: string): string => state.replace(/^STATE_/, '').toLowerCase()

class Reads {
  readonly #alarm: TellAlarm
  readonly #shown = new Map<string, Shown[]>()
  /** Job → its newest message, by watch. */
  readonly #watching = new Map<string, Map<string, Watching>>()

  constructor(alarm: TellAlarm) {
    this.#alarm = alarm
  }

  committed({ service, position, commit }: CommitSeen): void {
    if (service !== SERVICES.mediator) return
    for (const event of commit.events) {
      if (event.type === 'JobSubmitted') {
        this.#note(event.json.text('jobId'), position, 'Submitted')
      } else if (event.type === 'JobEnqueued') {
        this.#note(event.json.text('jobId'), position, 'Queued')
      } else if (event.type === 'JobRejected') {
        this.#note(event.json.text('jobId'), position, 'Rejected')
      } else if (event.type === 'JobStateObserved') {
        const view = event.json.inner('view')
        this.#note(view.text('jobId'), position, view.text('state'))
      }
    }
  }

  #note(jobId: string, position: number, state: string): void {
    const shown = this.#shown.get(jobId) ?? []
    this.#shown.set(jobId, shown)
    shown.push({ position, state: plain(state) })
  }

  read({ jobId, found, state, minPosition, atMs }: Read): void {
    const shown = this.#shown.get(jobId) ?? []
    const [service, , position] = minPosition.split(':')
    const from = service === SERVICES.mediator ? Number(position) : -1
    const at = () =>
      `read of ${jobId} from position ${minPosition || '(none)'} at ${secondsText(atMs)}`
    const oldest = shown.findLastIndex((one) => one.position <= from)
    if (!found) {
      if (oldest < 0) return
      const text = `not found, and the log holds it since position ${shown[0]!.position}`
      this.#alarm(jobId, `${at()}: ${text}`)
      return
    }
    const allowed = shown.slice(Math.max(0, oldest))
    if (state === '' || allowed.some((one) => one.state === plain(state))) return
    this.#alarm(jobId, `${at()}: shows ${state}; from there on ${saysText(allowed)}`)
  }

  watched({ jobId, watch, state, atMs }: Watched): void {
    const watches = this.#watching.get(jobId) ?? new Map<string, Watching>()
    this.#watching.set(jobId, watches)
    const before = watches.get(watch)
    const at = () => `watch ${watch} of ${jobId} at ${secondsText(atMs)} shows ${state}`
    if (before !== undefined && FINISHED.has(before.state)) {
      this.#alarm(jobId, `${at()}, behind the end ${before.state}: an end is the last`)
    }
    const shown = this.#shown.get(jobId) ?? []
    const from = before?.at ?? 0
    const index = shown.findIndex((one, i) => i >= from && one.state === plain(state))
    if (index < 0) {
      const after = before === undefined ? '' : ` after ${before.state}`
      this.#alarm(jobId, `${at()}${after}; from there on ${saysText(shown.slice(from))}`)
    }
    // The newest watch is the last of the map.
    watches.delete(watch)
    watches.set(watch, { watch, at: Math.max(from, index), state: plain(state) })
  }

  settled(atMs: number): void {
    for (const [jobId, watches] of this.#watching) {
      const newest = [...watches.values()].at(-1)
      const end = this.#shown.get(jobId)?.at(-1)
      if (newest === undefined || end === undefined || newest.state === end.state) continue
      const text = `watch ${newest.watch} of ${jobId} has shown ${newest.state} last`
      this.#alarm(jobId, `at ${secondsText(atMs)} ${text}, and the effective log ends ${end.state}`)
    }
  }
}

function saysText(shown: readonly Shown[]): string {
  const list = shown.map((one) => `${one.state} at ${one.position}`).join(', ')
  return `the effective log says ${list === '' ? 'nothing of it' : list}`
}

/** Compares reads with the mediator's log. */
export const reads: WatcherFactory = ({ alarm }) => {
  const watch = new Reads(alarm)
  return {
    committed: (seen) => watch.committed(seen),
    observe(observation) {
      if (observation.kind === 'read') watch.read(observation)
      else if (observation.kind === 'watched') watch.watched(observation)
      else if (observation.kind === 'settled') watch.settled(observation.atMs)
    },
  }
}
