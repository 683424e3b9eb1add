/**
 * The topics of public events: what a service publishes is what its effective commits say, in
 * order, copies aside; and in the end all of it (promise P5).
 */
import type { Landed } from '../world/types.ts'
import { ownerOfEvents, secondsText } from './names.ts'
import type { PublicRecord } from './record.ts'
import type { CommitSeen, OutsideObservation } from './seen.ts'
import type { TellAlarm } from './watcher.ts'

/** Events behind the last published one that a late copy is compared with. */
const COPIES_KEPT = 4_096

interface TopicState {
  /** Effective events by seq, with their log time. */
  readonly events: Map<number, { readonly event: PublicRecord; readonly atMs: number }>
  effective: number
  published: number
}

/** Compares topics with logs. */
export class Topics {
  readonly #alarm: TellAlarm
  readonly #topics = new Map<string, TopicState>()
  readonly #services = new Map<string, string>()

  constructor(alarm: TellAlarm) {
    this.#alarm = alarm
  }

  /** Takes an effective commit. */
  committed({ service, commit }: CommitSeen): void {
    if (commit.publics.length === 0) return
    const topic = this.#topic(service)
    for (const event of commit.publics) {
      topic.events.set(event.seq, { event, atMs: commit.atMs })
      topic.effective = Math.max(topic.effective, event.seq)
    }
  }

  /** Takes a record of an events topic; others are nobody's business here. */
  landed(record: Landed): void {
    let service = this.#services.get(record.topic)
    if (service === undefined) {
      service = ownerOfEvents(record.topic) ?? ''
      this.#services.set(record.topic, service)
    }
    if (service !== '') this.#take(service, record)
  }

  observe(observation: OutsideObservation): void {
    if (observation.kind !== 'settled') return
    for (const [service, { effective, published }] of this.#topics) {
      if (published === effective) continue
      const text = `the log of ${service} holds public events up to ${effective}, published`
      this.#alarm(service, `${text} are ${published}: all of them should be by now`)
    }
  }

  #topic(service: string): TopicState {
    let topic = this.#topics.get(service)
    if (topic === undefined) {
      topic = { events: new Map(), effective: 0, published: 0 }
      this.#topics.set(service, topic)
    }
    return topic
  }

  #take(service: string, record: Landed): void {
    const id = record.headers['ce_id'] ?? ''
    const prefix = `${service}/${record.partition}/`
    const seq = id.startsWith(prefix) ? Number(id.slice(prefix.length)) : Number.NaN
    const tell = (text: string): void => {
      const where = `topic of ${service} at offset ${record.position}`
      this.#alarm(service, `${where} (${secondsText(record.atMs)}): ${text}`)
    }
    if (!Number.isSafeInteger(seq) || seq < 1) {
      tell(`ce_id '${id}' is none of ${prefix}<seq>`)
      return
    }
    const topic = this.#topic(service)
    if (seq > topic.effective) {
      tell(`${record.headers['ce_type']} ${seq} is published, the log holds ${topic.effective}`)
      return
    }
    const known = topic.events.get(seq)
    if (known !== undefined) compare(record, known, seq, tell)
    if (seq <= topic.published) return
    if (seq > topic.published + 1) {
      tell(`event ${seq} comes after ${topic.published}: consumers see a gap`)
    }
    topic.published = seq
    topic.events.delete(seq - COPIES_KEPT)
  }
}

/** The events of a commit follow each other: the last time asked for is kept. */
const lastTime = { atMs: Number.NaN, text: '' }

function timeText(atMs: number): string {
  if (lastTime.atMs !== atMs) {
    lastTime.atMs = atMs
    lastTime.text = new Date(atMs).toISOString()
  }
  return lastTime.text
}

function compare(
  record: Landed,
  { event, atMs }: { readonly event: PublicRecord; readonly atMs: number },
  seq: number,
  tell: (text: string) => void,
): void {
  const { headers } = record
  const same =
    record.key === event.key &&
    headers['ce_type'] === event.type &&
    headers['ce_tenant'] === event.tenant &&
    headers['ce_time'] === timeText(atMs)
  if (same && event.payload.equals(record.value)) return
  const said = [record.key, headers['ce_type'], headers['ce_tenant'], headers['ce_time']]
  const is = [event.key, event.type, event.tenant, timeText(atMs)]
  tell(`event ${seq} is published as ${said.join(' ')}, the log says ${is.join(' ')} (or payload)`)
}
