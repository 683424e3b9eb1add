/**
 * Who reads with the position of an accepted request finds what it did, and nobody reads what the
 * effective log never said (promise P4).
 */
import { SERVICES, secondsText } from './names.ts'
import type { CommitSeen } from './seen.ts'
import type { Observation } from './types.ts'
import type { TellAlarm, WatcherFactory } from './watcher.ts'

type Read = Extract<Observation, { kind: 'read' }>

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
    const list = allowed.map((one) => `${one.state} at ${one.position}`).join(', ')
    const said = list === '' ? 'nothing of it' : list
    this.#alarm(jobId, `${at()}: shows ${state}; from there on the effective log says ${said}`)
  }
}

/** Compares reads with the mediator's log. */
export const reads: WatcherFactory = ({ alarm }) => {
  const watch = new Reads(alarm)
  return {
    committed: (seen) => watch.committed(seen),
    observe(observation) {
      if (observation.kind === 'read') watch.read(observation)
    },
  }
}
