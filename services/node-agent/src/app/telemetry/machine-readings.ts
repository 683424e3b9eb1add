import type { NodeReading, TaskReading } from '../../core/telemetry/readings.ts'

/** The machine as it can be measured. Quick: it is asked in the middle of other work. */
export interface MachineReadings {
  /** One reading for each source; a value stands in one of them at most. */
  node(): readonly NodeReading[]
  /** The same of the processes that began with `pid`; none when they are gone. */
  task(pid: number): readonly TaskReading[]
  /**
   * CPU time of the task, microseconds: the counter of {@link task}, alone and quicker. Undefined
   * where that costs too much, or nothing of it is there.
   */
  cpuUs(pid: number): number | undefined
  /** The task has ended: what is remembered of it is not needed any more. */
  forget(pid: number): void
}
