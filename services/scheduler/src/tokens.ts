/** {@link SchedulerRuntime}: the scheduler's partition. */
export const SCHEDULER_RUNTIME = Symbol('SCHEDULER_RUNTIME')
