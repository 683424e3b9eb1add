import type { Ports } from '@serverless-ai/kernel'
import {
  systemClock,
  systemDisk,
  systemRandomness,
  systemTimers,
} from '@serverless-ai/kernel/system'

const silent = { log: () => {}, child: () => silent }

/** The ports of the operating system, without log lines. */
export const quietPorts: Ports = {
  clock: systemClock,
  timers: systemTimers,
  randomness: systemRandomness,
  disk: systemDisk,
  logger: silent,
}
