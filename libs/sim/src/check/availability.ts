/**
 * After a leader dies or hangs there is a new one within 6 s + 8 × the time of an append, unless
 * another fault follows.
 */
import { isOfNodes } from '../scenarios/types.ts'
import { secondsText } from './names.ts'
import type { WatcherFactory } from './watcher.ts'

const BASE_MS = 6_000
const APPENDS = 8

/** Faults after which another replica has to lead. */
const DEATHS: ReadonlySet<string> = new Set(['kill', 'power-off', 'restart'])
const HANGS: ReadonlySet<string> = new Set(['pause', 'log-partition'])
/** A new leader that is waited for. */
interface Awaited {
  readonly service: string
  readonly fault: string
  readonly process: string
  readonly sinceMs: number
  readonly untilMs: number
  /** Epoch that has to be passed. */
  readonly epoch: number
  claimed: boolean
}

/** What is known of a service. */
interface Leading {
  /** Newest effective epoch. */
  epoch: number
  /** Who said that it leads it; empty = nobody yet. */
  process: string
}

class Availability {
  readonly #alarm: (about: string, message: string) => void
  readonly #waitMs: number
  readonly #services = new Map<string, Leading>()
  /** Service of a process that was ever heard of. */
  readonly #serviceOf = new Map<string, string>()
  readonly #awaited = new Map<string, Awaited>()
  /** Faults that are on: name → services they touch; undefined = any. */
  readonly #active = new Map<string, ReadonlySet<string> | undefined>()
  /** When to look next, ms. */
  #nextMs = Number.POSITIVE_INFINITY

  constructor(alarm: (about: string, message: string) => void, appendMs: number) {
    this.#alarm = alarm
    this.#waitMs = BASE_MS + APPENDS * appendMs
  }

  leading(service: string): Leading {
    const leading = this.#services.get(service) ?? { epoch: 0, process: '' }
    this.#services.set(service, leading)
    return leading
  }

  heard(process: string, service: string): void {
    this.#serviceOf.set(process, service)
  }

  claimed(service: string, epoch: number): void {
    this.#services.set(service, { epoch, process: '' })
    const awaited = this.#awaited.get(service)
    if (awaited !== undefined && epoch > awaited.epoch) awaited.claimed = true
  }

  committed(service: string): void {
    // Effective commits are of the newest epoch.
    if (this.#awaited.get(service)?.claimed === true) this.#awaited.delete(service)
  }

  fault(init: { fault: string; target: string; begins: boolean; atMs: number }): void {
    const { fault, target, begins, atMs } = init
    if (isOfNodes(fault)) return
    const name = `${fault} ${target}`
    const touched = this.#touched(target)
    if (!begins) {
      this.#active.delete(name)
      // What hung goes on: nobody has to take over any more.
      if (HANGS.has(fault)) this.#drop(touched)
      return
    }
    this.#drop(touched)
    this.#active.set(name, touched)
    if (DEATHS.has(fault) || HANGS.has(fault)) this.#expect(fault, target, atMs)
  }

  #drop(touched: ReadonlySet<string> | undefined): void {
    for (const service of [...this.#awaited.keys()]) {
      if (touched?.has(service) !== false) this.#awaited.delete(service)
    }
  }

  /** Services that a fault of this target touches; undefined = any. */
  #touched(target: string): ReadonlySet<string> | undefined {
    const services = new Set<string>()
    for (const process of target.split('/')) {
      if (process === 'log') continue
      const service = this.#serviceOf.get(process)
      if (service === undefined) return undefined
      services.add(service)
    }
    return services
  }

  #expect(fault: string, process: string, atMs: number): void {
    const service = this.#serviceOf.get(process)
    if (service === undefined) return
    const leading = this.leading(service)
    if (leading.process !== process) return
    const own = `${fault} ${process}`
    for (const [name, touched] of this.#active) {
      if (name !== own && touched?.has(service) !== false) return
    }
    const untilMs = atMs + this.#waitMs
    const { epoch } = leading
    const awaited = { service, fault, process, sinceMs: atMs, untilMs, epoch, claimed: false }
    this.#awaited.set(service, awaited)
    this.#nextMs = Math.min(this.#nextMs, untilMs)
  }

  look(nowMs: number): void {
    if (nowMs <= this.#nextMs) return
    this.#nextMs = Number.POSITIVE_INFINITY
    for (const awaited of [...this.#awaited.values()]) {
      if (nowMs <= awaited.untilMs) {
        this.#nextMs = Math.min(this.#nextMs, awaited.untilMs)
        continue
      }
      this.#awaited.delete(awaited.service)
      this.#alarm(awaited.service, lateText(awaited, nowMs))
    }
  }
}

function lateText(awaited: Awaited, nowMs: number): string {
  const { service, fault, process, sinceMs, untilMs, epoch, claimed } = awaited
  const missing = claimed
    ? `epoch ${epoch + 1} is claimed, nothing was committed in it`
    : `nobody claimed epoch ${epoch + 1}`
  return (
    `${service}: ${process} led epoch ${epoch} until '${fault}' at ${secondsText(sinceMs)}; ` +
    `a new leader commits by ${secondsText(untilMs)} when no other fault follows, ` +
    `and by ${secondsText(nowMs)} ${missing}`
  )
}

/** Sees that somebody takes over in time. */
export const availability: WatcherFactory = ({ alarm, options }) => {
  const watch = new Availability(alarm, options.appendMs)
  return {
    claimed({ service, claim, landedMs }) {
      watch.look(landedMs)
      watch.claimed(service, claim.epoch)
    },
    committed({ service, landedMs }) {
      watch.look(landedMs)
      watch.committed(service)
    },
    observe(observation) {
      watch.look(observation.atMs)
      if (observation.kind === 'digest') watch.heard(observation.process, observation.service)
      if (observation.kind === 'leading') {
        const { process, service, epoch, leads } = observation
        watch.heard(process, service)
        const leading = watch.leading(service)
        if (leads && epoch === leading.epoch) leading.process = process
        if (!leads && leading.process === process) leading.process = ''
      }
      if (observation.kind === 'fault') watch.fault(observation)
    },
  }
}
