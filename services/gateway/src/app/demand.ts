/** Tells whoever scales a service that requests are held for it. */
export interface DemandSignal {
  /** Never throws, never waits; a signal that is lost is followed by the next second's. */
  demand(about: {
    readonly jobId: string
    /** Requests that are held here. */
    readonly queued: number
    /** Age of the oldest of them, ms. */
    readonly oldestMs: number
  }): void
}

/** Nobody to tell. */
export const NO_DEMAND: DemandSignal = { demand: () => undefined }
