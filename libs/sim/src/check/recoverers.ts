/**
 * One incident per generation, one decision per incident, and one recovery or end that follows
 * from it.
 */
import type { Incident } from '@serverless-ai/contracts/recovery/v1/recovery'
import { generationText, placeText, SERVICES } from './names.ts'
import type { Entry } from './record.ts'
import type { CommitSeen, EventSeen, Place } from './seen.ts'
import type { WatcherFactory, WatcherInit } from './watcher.ts'

/** An incident as last told. */
interface IncidentSeen {
  readonly incidentId: string
  readonly jobId: string
  readonly gang: number
  readonly generation: number
  decision: string
  readonly at: Place
}

class Recoverers {
  readonly #alarm: WatcherInit['alarm']
  readonly #ledger: WatcherInit['ledger']
  readonly #byId = new Map<string, IncidentSeen>()
  readonly #byGeneration = new Map<string, IncidentSeen>()
  /** Generation → where it was recovered from. */
  readonly #recovered = new Map<string, Place>()
  /** Notice → generation that was to be placed anew. */
  readonly #planned = new Map<string, string>()

  constructor({ alarm, ledger }: WatcherInit) {
    this.#alarm = alarm
    this.#ledger = ledger
  }

  incident(incident: Incident, at: EventSeen): void {
    const { incidentId, jobId, gang, generation, decision } = incident
    const name = generationText(jobId, gang, generation)
    const known = this.#byId.get(incidentId)
    if (known !== undefined) {
      if (known.decision !== '' && decision !== known.decision) {
        const was = `${known.decision}, told in ${placeText(known.at)}`
        const text = `incident ${incidentId} of ${name} is decided ${decision} in ${placeText(at)}`
        this.#alarm(jobId, `${text}, and it was ${was}: it is decided once`)
      }
      known.decision = decision
      return
    }
    const seen = { incidentId, jobId, gang, generation, decision, at }
    this.#byId.set(incidentId, seen)
    const other = this.#byGeneration.get(name)
    if (other !== undefined) {
      const text = `incident ${incidentId} of ${name} is opened in ${placeText(at)}`
      const was = `${other.incidentId} was opened in ${placeText(other.at)}`
      this.#alarm(jobId, `${text}, and ${was}: there is one per generation`)
    }
    this.#byGeneration.set(name, seen)
  }

  committed(seen: CommitSeen): void {
    if (seen.service !== SERVICES.scheduler) return
    for (const event of seen.commit.events) {
      if (event.type === 'CheckpointRequested') this.#requested(event)
      else if (event.type === 'JobRecovering') this.#recovering(event, seen)
      else if (event.type === 'JobFailed') this.#failed(event, seen)
    }
  }

  /** A planned change: what follows it is no recovery from an incident. */
  #requested({ json }: Entry): void {
    const [jobId, gang] = [json.text('jobId'), json.number('gang')]
    const generation = json.number('generation')
    const name = generationText(jobId, gang, generation)
    this.#planned.set(json.text('noticeId'), name)
  }

  #recovering({ json }: Entry, seen: CommitSeen): void {
    const jobId = json.text('jobId')
    const gang = json.number('gang')
    const generation = json.number('generation')
    const name = generationText(jobId, gang, generation)
    const what = `${name} is recovered from in ${placeText(seen)}`
    const before = this.#recovered.get(name)
    if (before !== undefined) {
      this.#alarm(jobId, `${what}, and it was in ${placeText(before)}: it happens once`)
    }
    this.#recovered.set(name, seen)
    const newest = this.#ledger.gang(jobId, gang)?.generation ?? 0
    if (generation !== newest) {
      this.#alarm(jobId, `${what}, and the newest generation is ${newest}`)
    }
    const incidentId = json.inner('plan').text('incidentId')
    const planned = this.#planned.get(incidentId)
    if (planned !== undefined) {
      if (planned !== name) this.#alarm(jobId, `${what}, and it was planned for ${planned}`)
      return
    }
    this.#decided(incidentId, {
      ...{ jobId, what, generation },
      decision: 'RECOVER',
    })
  }

  #failed({ json }: Entry, seen: CommitSeen): void {
    const jobId = json.text('jobId')
    const incident = this.#byId.get(json.text('incidentId'))
    // Of a service one replica is given up, and all of them end.
    const serves = this.#ledger.jobs.get(jobId)?.serves === true
    const gang = serves ? (incident?.gang ?? 0) : 0
    const generation = this.#ledger.gang(jobId, gang)?.generation ?? 0
    const what = `${jobId} is failed in ${placeText(seen)}`
    const decision = 'GIVE_UP'
    this.#decided(json.text('incidentId'), { jobId, what, generation, decision })
  }

  /** What the scheduler carries out was decided by fault tolerance, for this generation. */
  #decided(
    incidentId: string,
    of: { jobId: string; what: string; generation: number; decision: string },
  ): void {
    const { jobId, what, generation, decision } = of
    const seen = this.#byId.get(incidentId)
    const fits =
      seen?.jobId === jobId && seen.generation === generation && seen.decision === decision
    if (fits) return
    const said =
      seen === undefined
        ? 'which fault tolerance never told'
        : `which is of ${seen.jobId} generation ${seen.generation}, ${seen.decision || 'undecided'}`
    this.#alarm(
      jobId,
      `${what} for incident '${incidentId}', ${said}: ${decision} is decided first`,
    )
  }
}

/** Compares decisions of fault tolerance with what the scheduler does. */
export const recoverers: WatcherFactory = (init) => {
  const watch = new Recoverers(init)
  return {
    committed: (seen) => watch.committed(seen),
    event(event) {
      const { body } = event
      if (body.is !== 'IncidentChanged' || body.value.incident === undefined) return
      watch.incident(body.value.incident, event)
    },
  }
}
