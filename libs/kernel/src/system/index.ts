export { systemClock } from './clock.ts'
export { systemDisk } from './disk.ts'
export { systemRandomness } from './random.ts'
export { systemTimers } from './timers.ts'
