import { decodeEvent, type EventTable, type PublicEvent } from '@serverless-ai/client/events'
import { ActionStep_Action } from '@serverless-ai/contracts/objective/v1/objective'
import type { Logger } from '@serverless-ai/kernel'
import { ShedActions } from '../core/shed.ts'
import type { ServiceRoute } from './routes.ts'

/** Which classes are refused now. */
export interface ShedTable {
  /** The highest rank of a service that is refused, with all below it; undefined = none. */
  rankFor(route: Pick<ServiceRoute, 'jobId' | 'tenant' | 'name'>): number | undefined
  /** Calls `listener` after each change. */
  onChange(listener: () => void): void
}

/** Unknown classes that are told; whoever may declare objectives can name any. */
const TOLD_MAX = 100

/**
 * What objectives ask to be shed, folded from the public events of the SLA monitor. While it is
 * away the last known actions stay.
 */
export class EventSheds implements ShedTable {
  readonly #classes: readonly string[]
  readonly #logger: Logger
  readonly #told = new Set<string>()
  readonly #listeners: (() => void)[] = []
  #actions = new ShedActions()

  /** @param init `classes`: of requests, the highest first */
  constructor(init: { readonly classes: readonly string[]; readonly logger: Logger }) {
    this.#classes = init.classes
    this.#logger = init.logger
  }

  rankFor(route: Pick<ServiceRoute, 'jobId' | 'tenant' | 'name'>): number | undefined {
    return this.#actions.rankFor(route)
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** The table that the events are applied to: begins with the present state. */
  table(): EventTable {
    let staged = new ShedActions()
    return {
      load: () => undefined,
      apply: ({ events }) => {
        const changes = events.map((event) => this.#take(event, this.#actions))
        if (changes.includes(true)) this.#tell()
      },
      stage: ({ page, events }) => {
        if (page === 0) staged = new ShedActions()
        for (const event of events) this.#take(event, staged)
      },
      swap: () => {
        this.#actions = staged
        staged = new ShedActions()
        this.#tell()
      },
    }
  }

  /** True = it was about shedding. */
  #take(event: PublicEvent, actions: ShedActions): boolean {
    const decoded = decodeEvent(event)
    if (decoded?.name !== 'ActionRequested') return false
    const { action } = decoded.value
    if (action?.step?.action !== ActionStep_Action.SHED) return false
    const { actionId, tenant, service, withdrawnMs } = action
    if (withdrawnMs > 0n) {
      actions.end(actionId)
      return true
    }
    const rank = this.#classes.indexOf(action.step.class)
    if (rank >= 0) actions.hold({ actionId, tenant, service, rank })
    else this.#unknown(action.step.class, action.objectiveName)
    return rank >= 0
  }

  /** It is told once: an action comes again with each present state. */
  #unknown(className: string, objective: string): void {
    if (this.#told.has(className) || this.#told.size >= TOLD_MAX) return
    this.#told.add(className)
    const about = { class: className, objective }
    this.#logger.log('warn', 'a class that is to be shed is none of the gateway', about)
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
