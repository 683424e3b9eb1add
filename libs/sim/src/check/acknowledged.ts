/**
 * What a user was told holds: an accepted request stands in the effective log before its answer,
 * once, and stays; a refusal stands there, too, and leaves nothing else behind; the same request
 * gets the same answer, another one under its id none.
 */
import { placeText, SERVICES, secondsText } from './names.ts'
import type { CommitSeen, Place } from './seen.ts'
import type { Observation } from './types.ts'
import type { TellAlarm, WatcherFactory } from './watcher.ts'

type Answered = Extract<Observation, { kind: 'answered' }>

/** Refusals that only say that the first answer is no longer known. */
const FORGOTTEN: ReadonlySet<string> = new Set(['REQUEST_TOO_OLD', 'JOB_NOT_FOUND'])
/** Refusals in which no state has a part: every replica says the same, always. */
const OF_THE_EDGE: ReadonlySet<string> = new Set(['INVALID_SPEC', 'INVALID_ARGUMENT'])

/** What a log says of a request. */
interface Logged {
  readonly ok: boolean
  readonly reason: string
  readonly at: Place
}

/** What the mediator's log says of a job. */
interface JobLogged {
  readonly requestId: string
  readonly submitted: Place
  enqueued: Place | undefined
  rejected: Place | undefined
  cancelRequested: Place | undefined
}

class Acknowledged {
  readonly #alarm: TellAlarm
  /** `<service>/<request id>` → answer in the log. */
  readonly #logged = new Map<string, Logged>()
  /** First answer that a user got to a request. */
  readonly #told = new Map<string, Answered>()
  readonly #jobs = new Map<string, JobLogged>()
  readonly #jobOfRequest = new Map<string, string>()
  readonly #queued = new Map<string, Place>()
  readonly #queues = new Map<string, Place>()
  readonly #ended = new Set<string>()

  constructor(alarm: TellAlarm) {
    this.#alarm = alarm
  }

  committed(seen: CommitSeen): void {
    const { service, commit } = seen
    if (service === SERVICES.mediator || service === SERVICES.scheduler) {
      for (const { requestId, outcome } of commit.answers) {
        if (requestId !== '') this.#answer(seen, requestId, outcome.json.flag('ok'), outcome)
      }
    }
    if (service === SERVICES.mediator) this.#mediator(seen)
    if (service === SERVICES.scheduler) this.#scheduler(seen)
  }

  #answer(seen: CommitSeen, requestId: string, ok: boolean, outcome: Outcome): void {
    const key = `${seen.service}/${requestId}`
    const reason = ok ? '' : outcome.json.inner('refusal').text('reason')
    const first = this.#logged.get(key)
    if (first === undefined) {
      this.#logged.set(key, { ok, reason, at: seen })
      return
    }
    const text = `request ${requestId} is answered in ${placeText(first.at)} and again`
    this.#alarm(requestId, `${text} in ${placeText(seen)}: it is carried out once`)
  }

  #mediator(seen: CommitSeen): void {
    for (const { type, json } of seen.commit.events) {
      const jobId = json.text('jobId')
      const job = this.#jobs.get(jobId)
      if (type === 'JobSubmitted') this.#submitted(jobId, json.text('requestId'), seen)
      if (job === undefined) continue
      if (type === 'JobRejected') this.#rejected(jobId, job, seen)
      if (type === 'JobForgotten') this.#jobs.delete(jobId)
      if (type === 'JobEnqueued') this.#enqueued(jobId, job, seen)
      if (type === 'JobCancelRequested') {
        const first = job.cancelRequested
        job.cancelRequested ??= seen
        if (first !== undefined) this.#twice(`cancel of ${jobId}`, jobId, first, seen)
      }
    }
  }

  #twice(what: string, about: string, first: Place, again: Place): void {
    const text = `${what} is recorded in ${placeText(first)} and again in ${placeText(again)}`
    this.#alarm(about, `${text}: it happens once`)
  }

  #submitted(jobId: string, requestId: string, seen: CommitSeen): void {
    const job: JobLogged = {
      ...{ requestId, submitted: seen },
      ...{ enqueued: undefined, rejected: undefined, cancelRequested: undefined },
    }
    const same = this.#jobs.get(jobId)
    if (same !== undefined) this.#twice(`submission of ${jobId}`, jobId, same.submitted, seen)
    this.#jobs.set(jobId, job)
    if (requestId === '') return
    const otherId = this.#jobOfRequest.get(requestId)
    const other = otherId === undefined ? undefined : this.#jobs.get(otherId)
    if (other !== undefined && otherId !== jobId) {
      const text = `request ${requestId} made job ${otherId} in ${placeText(other.submitted)}`
      this.#alarm(jobId, `${text} and job ${jobId} in ${placeText(seen)}: it makes one`)
    }
    this.#jobOfRequest.set(requestId, jobId)
  }

  #enqueued(jobId: string, job: JobLogged, seen: CommitSeen): void {
    if (job.enqueued !== undefined) this.#twice(`queueing of ${jobId}`, jobId, job.enqueued, seen)
    job.enqueued = seen
    if (!this.#queued.has(jobId)) {
      const text = `mediator says that ${jobId} is queued in ${placeText(seen)}`
      this.#alarm(jobId, `${text}, and the scheduler's log does not hold it`)
    }
    const told = this.#told.get(job.requestId)
    if (told?.ok === false && told.call === 'submit') this.#leftBehind(told, jobId, seen)
  }

  #rejected(jobId: string, job: JobLogged, seen: CommitSeen): void {
    job.rejected = seen
    const told = this.#told.get(job.requestId)
    if (told?.ok !== true || told.call !== 'submit') return
    const text = `job ${jobId} was acknowledged at ${secondsText(told.atMs)}`
    this.#alarm(jobId, `${text} and is rejected in ${placeText(seen)}: the answer holds`)
  }

  #leftBehind(told: Answered, jobId: string, place: Place): void {
    const refused = `request ${told.requestId} was refused ${told.reason} at`
    const text = `${refused} ${secondsText(told.atMs)}, and its job ${jobId} is queued`
    this.#alarm(jobId, `${text} in ${placeText(place)}: a refusal leaves nothing behind`)
  }

  #scheduler(seen: CommitSeen): void {
    for (const event of seen.commit.events) {
      if (event.type === 'JobQueued' || event.type === 'ServiceQueued') {
        const jobId = event.json.inner('job').text('jobId')
        const first = this.#queued.get(jobId)
        if (first !== undefined) this.#twice(`job ${jobId}`, jobId, first, seen)
        else this.#queued.set(jobId, seen)
      } else if (event.type === 'QueueCreated') {
        const name = event.json.inner('queue').text('name')
        const first = this.#queues.get(name)
        if (first !== undefined) this.#twice(`queue ${name}`, name, first, seen)
        else this.#queues.set(name, seen)
      } else if (event.type === 'JobCancelled') {
        this.#ended.add(event.json.text('jobId'))
      } else if (event.type === 'JobSucceeded' || event.type === 'JobFailed') {
        this.#ended.add(event.json.text('jobId'))
      }
    }
  }

  answered(answer: Answered): void {
    if (answer.call === 'reuse') {
      this.#reused(answer)
      return
    }
    const { requestId, call, ok, reason } = answer
    const about = answer.jobId === '' ? requestId : answer.jobId
    const at = `${call} ${requestId} (${answer.jobId}), answered at ${secondsText(answer.atMs)}`
    const said = ok ? 'accepted' : `refused ${reason}`
    const first = this.#told.get(requestId)
    if (first === undefined) {
      this.#told.set(requestId, answer)
    } else if (!FORGOTTEN.has(reason) && !sameAnswer(first, answer)) {
      const before = first.ok ? `accepted as ${first.jobId}` : `refused ${first.reason}`
      this.#alarm(about, `${at}: ${said}; at ${secondsText(first.atMs)} it was ${before}`)
    }
    const service = call === 'queue' ? SERVICES.scheduler : SERVICES.mediator
    const logged = this.#logged.get(`${service}/${requestId}`)
    if (ok) {
      if (logged?.ok !== true) {
        const log = logged === undefined ? 'does not hold it yet' : `refused it ${logged.reason}`
        this.#alarm(about, `${at}: accepted, and the effective log of ${service} ${log}`)
      }
      this.#position(answer, { at, about, service, logged })
    } else {
      this.#refused(answer, { at, about, service, logged })
    }
    if (call === 'submit') this.#submit(answer, at)
    if (call === 'cancel' && ok) this.#cancel(answer, at)
  }

  /** A refusal is an answer of the log: what is not there, the next leader may accept. */
  #refused(
    { call, jobId, reason }: Answered,
    of: { at: string; about: string; service: string; logged: Logged | undefined },
  ): void {
    const { at, about, service, logged } = of
    const text = `${at}: refused ${reason}`
    if (reason === 'JOB_NOT_FOUND' && call === 'cancel') {
      const job = this.#jobs.get(jobId)
      if (job === undefined) return
      this.#alarm(about, `${text}, and the job stands in ${placeText(job.submitted)}`)
    } else if (FORGOTTEN.has(reason) || OF_THE_EDGE.has(reason)) {
      return
    } else if (logged === undefined) {
      const why = 'whoever leads next may accept it'
      this.#alarm(about, `${text}, and the effective log of ${service} holds no answer: ${why}`)
    } else if (logged.ok && call !== 'submit') {
      this.#alarm(about, `${text}, and it is accepted in ${placeText(logged.at)}`)
    } else if (!logged.ok && logged.reason !== reason) {
      this.#alarm(about, `${text}, the log says ${logged.reason} in ${placeText(logged.at)}`)
    }
  }

  /** Another request under an id that was answered: never carried out, whatever it asks for. */
  #reused({ requestId, jobId, ok, reason, atMs }: Answered): void {
    if (!ok && (reason === 'REQUEST_ID_REUSED' || FORGOTTEN.has(reason))) return
    const said = ok ? `accepted as ${jobId}` : `refused ${reason}`
    const text = `another submission under the id ${requestId} is ${said} at ${secondsText(atMs)}`
    this.#alarm(jobId === '' ? requestId : jobId, `${text}: REQUEST_ID_REUSED is the answer`)
  }

  /** The position of an answer is that of its commit or a later one. */
  #position(
    answer: Answered,
    of: { at: string; about: string; service: string; logged: Logged | undefined },
  ): void {
    const [service, , position] = answer.position.split(':')
    const { logged } = of
    if (answer.position === '' || logged === undefined) return
    if (service === of.service && Number(position) >= logged.at.position) return
    const text = `${of.at}: its position is ${answer.position}, its commit is`
    this.#alarm(of.about, `${text} ${placeText(logged.at)}: a read from there would miss it`)
  }

  #submit(answer: Answered, at: string): void {
    const { requestId, ok } = answer
    const jobId = this.#jobOfRequest.get(requestId)
    const job = jobId === undefined ? undefined : this.#jobs.get(jobId)
    if (!ok) {
      if (jobId === undefined || job === undefined || FORGOTTEN.has(answer.reason)) return
      if (job.rejected !== undefined) return
      const text = `${at}: refused ${answer.reason}, and its job ${jobId} stands in`
      const why = 'a refusal leaves nothing behind'
      this.#alarm(jobId, `${text} ${placeText(job.submitted)}: ${why}`)
      return
    }
    if (jobId !== answer.jobId || job === undefined) {
      this.#alarm(answer.jobId, `${at}: the log holds ${jobId ?? 'no job'} for this request`)
    } else if (job.rejected !== undefined) {
      this.#alarm(jobId, `${at}: accepted, and rejected in ${placeText(job.rejected)}`)
    } else if (!this.#queued.has(jobId)) {
      this.#alarm(jobId, `${at}: accepted, and the scheduler's log does not hold it yet`)
    }
  }

  #cancel({ jobId }: Answered, at: string): void {
    const job = this.#jobs.get(jobId)
    const over = job?.rejected !== undefined || this.#ended.has(jobId)
    if (job?.cancelRequested !== undefined || over) return
    this.#alarm(jobId, `${at}: accepted, and the log of the mediator holds no such request`)
  }

  settled(): void {
    for (const answer of this.#told.values()) {
      if (!answer.ok || answer.call !== 'submit' || this.#queued.has(answer.jobId)) continue
      const text = `job ${answer.jobId} was acknowledged at ${secondsText(answer.atMs)}`
      this.#alarm(answer.jobId, `${text}, and the scheduler's log does not hold it`)
    }
  }
}

type Outcome = CommitSeen['commit']['answers'][number]['outcome']

function sameAnswer(a: Answered, b: Answered): boolean {
  if (a.ok !== b.ok) return false
  return a.ok ? a.jobId === b.jobId : a.reason === b.reason
}

/** Compares answers with logs. */
export const acknowledged: WatcherFactory = ({ alarm }) => {
  const watch = new Acknowledged(alarm)
  return {
    committed: (seen) => watch.committed(seen),
    observe(observation) {
      if (observation.kind === 'answered') watch.answered(observation)
      else if (observation.kind === 'settled') watch.settled()
    },
  }
}
