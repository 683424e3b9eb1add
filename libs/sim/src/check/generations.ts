/**
 * Generations of a gang grow by one, and nothing of an older one is accepted by a service that has
 * read of its end: no start, report or end of a task, no checkpoint, no result, no launch contract
 * (promise P6).
 */
import { gangKey, generationText, placeText, SERVICES } from './names.ts'
import type { CommitSeen, EventSeen } from './seen.ts'
import type { WatcherFactory, WatcherInit } from './watcher.ts'

class Generations {
  readonly #alarm: WatcherInit['alarm']
  readonly #ledger: WatcherInit['ledger']
  /** Gang → newest generation of which a task was told to have started, and where. */
  readonly #started = new Map<string, { readonly generation: number; readonly at: EventSeen }>()
  readonly #contracts = new Map<string, { readonly generation: number; readonly at: EventSeen }>()

  constructor({ alarm, ledger }: WatcherInit) {
    this.#alarm = alarm
    this.#ledger = ledger
  }

  placed(of: { jobId: string; gang: number; generation: number }, at: EventSeen): void {
    const { jobId, gang, generation } = of
    const last = this.#ledger.gang(jobId, gang)?.generation ?? 0
    if (generation === last + 1) return
    const what = `${generationText(jobId, gang, generation)} is placed in ${placeText(at)}`
    this.#alarm(jobId, `${what}: the one before is ${last}, generations grow by one`)
  }

  /** Something of a task is accepted by a service that listens to the scheduler. */
  accepted(
    of: { jobId: string; gang: number; generation: number },
    what: string,
    at: EventSeen,
  ): void {
    const { jobId, gang: number, generation } = of
    const gang = this.#ledger.gang(jobId, number)
    if (gang === undefined) return
    const mark = at.commit.markBefore(SERVICES.scheduler)
    const over = this.#ledger.overAt(gang, mark)
    if (over === undefined || over.through < generation) return
    const known = `all up to ${over.through} were over in ${placeText(over.at)}`
    const text = `${what} of ${generationText(jobId, number, generation)} is accepted in`
    const read = `${at.service} had read the scheduler's events up to ${mark}`
    this.#alarm(jobId, `${text} ${placeText(at)}: ${known}, and ${read}`)
  }

  started(of: { jobId: string; gang: number; generation: number }, at: EventSeen): void {
    const key = gangKey(of.jobId, of.gang)
    if (of.generation > (this.#started.get(key)?.generation ?? 0)) {
      this.#started.set(key, { generation: of.generation, at })
    }
  }

  /** After a start of a newer one nothing of an older one is told. */
  told(of: { jobId: string; gang: number; generation: number }, what: string, at: EventSeen): void {
    const newest = this.#started.get(gangKey(of.jobId, of.gang))
    if (newest === undefined || newest.generation <= of.generation) return
    const text = `${what} of ${generationText(of.jobId, of.gang, of.generation)} is told in`
    const after = `after generation ${newest.generation} started in ${placeText(newest.at)}`
    this.#alarm(of.jobId, `${text} ${placeText(at)}, ${after}`)
  }

  contract(of: { jobId: string; gang: number; generation: number }, at: EventSeen): void {
    const key = gangKey(of.jobId, of.gang)
    const before = this.#contracts.get(key)
    const text = `launch of ${generationText(of.jobId, of.gang, of.generation)} is prepared in`
    if (before !== undefined && before.generation >= of.generation) {
      const was = `generation ${before.generation} was prepared in ${placeText(before.at)}`
      this.#alarm(of.jobId, `${text} ${placeText(at)}: ${was}`)
    }
    if (this.#ledger.placement(of) === undefined) {
      this.#alarm(of.jobId, `${text} ${placeText(at)}: it was never placed`)
    }
    this.#contracts.set(key, { generation: of.generation, at })
  }

  result({ service, commit, ...place }: CommitSeen): void {
    if (service !== SERVICES.scheduler) return
    for (const event of commit.events) {
      if (event.type !== 'ResultReported') continue
      const jobId = event.json.text('jobId')
      const generation = event.json.number('generation')
      const newest = this.#ledger.gang(jobId, 0)?.generation ?? 0
      if (generation === newest) continue
      const text = `result of ${generationText(jobId, 0, generation)} is kept in`
      const at = placeText({ service, ...place })
      this.#alarm(jobId, `${text} ${at}, and the newest generation is ${newest}`)
    }
  }
}

/** Follows generations through all services. */
export const generations: WatcherFactory = (init) => {
  const watch = new Generations(init)
  return {
    committed: (seen) => watch.result(seen),
    event(event) {
      const { body } = event
      switch (body.is) {
        case 'GangPlaced':
          watch.placed(body.value, event)
          break
        case 'LaunchPrepared':
          watch.contract(body.value, event)
          break
        case 'TaskStarted':
          watch.accepted(body.value, 'a start', event)
          watch.told(body.value, 'a start', event)
          watch.started(body.value, event)
          break
        case 'TaskReported':
          watch.accepted(body.value, `a ${body.value.kind} line`, event)
          watch.told(body.value, `a ${body.value.kind} line`, event)
          break
        case 'TaskExited':
          watch.accepted(body.value, 'an end', event)
          watch.told(body.value, 'an end', event)
          break
        case 'CheckpointRegistered': {
          const { checkpoint } = body.value
          if (checkpoint === undefined) break
          const { jobId, generation, step } = checkpoint
          watch.accepted({ jobId, gang: 0, generation }, `checkpoint ${step}`, event)
          break
        }
      }
    },
  }
}
