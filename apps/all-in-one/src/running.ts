/** A running platform. */
export interface RunningPlatform {
  /** Ends tasks, nodes and control plane, in that order. */
  stop(): Promise<void>
}
