/** Which requests are refused while the ladder of an objective asks for it. */

/** An action that holds: requests of a class and below are refused. */
export interface ShedAction {
  readonly actionId: string
  /** Owner of the services; empty = all tenants. */
  readonly tenant: string
  /** Name or job of the service; empty = all services of the tenant. */
  readonly service: string
  /** Rank of the class; 0 = the highest, with everything below it. */
  readonly rank: number
}

/** The actions that hold. */
export class ShedActions {
  readonly #holding = new Map<string, ShedAction>()

  /** It holds from now on. */
  hold(action: ShedAction): void {
    this.#holding.set(action.actionId, action)
  }

  /** It holds no longer; one that never did changes nothing. */
  end(actionId: string): void {
    this.#holding.delete(actionId)
  }

  /** The highest rank of a service that is refused, with all below it; undefined = none. */
  rankFor(of: {
    readonly jobId: string
    readonly tenant: string
    readonly name: string
  }): number | undefined {
    let highest: number | undefined
    for (const { tenant, service, rank } of this.#holding.values()) {
      if (tenant !== '' && tenant !== of.tenant) continue
      if (service !== '' && service !== of.jobId && service !== of.name) continue
      highest = Math.min(highest ?? rank, rank)
    }
    return highest
  }
}
