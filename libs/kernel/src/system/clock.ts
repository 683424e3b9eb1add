import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import type { Clock } from '../ports.ts'

const monotonicMs = (): number => performance.now()

/** Machine-wide monotonic clock that stands still during a suspend (CLOCK_MONOTONIC), ms. */
const hrtimeMs = (): number => Number(process.hrtime.bigint()) / 1e6

/**
 * Seconds since boot, suspends included (CLOCK_BOOTTIME, 10 ms steps) on Linux; what `os.uptime`
 * says elsewhere. In ms.
 */
function uptimeMs(): number {
  try {
    const seconds = Number.parseFloat(readFileSync('/proc/uptime', 'utf8'))
    if (Number.isFinite(seconds)) return seconds * 1000
  } catch {
    // No /proc: not Linux.
  }
  return uptime() * 1000
}

/** Between two readings of the uptime, ms. */
const MEASURE_EVERY_MS = 1000
/** Steps of /proc/uptime and the time of reading it are below this; more is a suspend, ms. */
const SUSPEND_MIN_MS = 50

/**
 * Boot clock: CLOCK_MONOTONIC (ns steps) + an offset to the uptime of the machine. The offset is
 * measured when first asked and looked at again at most once a second: it grows when the machine
 * was suspended and never shrinks, so the clock never goes back. Processes of one machine agree
 * within 10 ms (the step of /proc/uptime), or 1 s just after a suspend.
 */
function createBootClock(): () => number {
  let offsetMs: number | undefined
  let measuredAtMs = 0
  return () => {
    const nowMs = hrtimeMs()
    if (offsetMs === undefined) {
      offsetMs = uptimeMs() - nowMs
      measuredAtMs = nowMs
    } else if (nowMs - measuredAtMs >= MEASURE_EVERY_MS) {
      const measured = uptimeMs() - nowMs
      if (measured > offsetMs + SUSPEND_MIN_MS) offsetMs = measured
      measuredAtMs = nowMs
    }
    return nowMs + offsetMs
  }
}

/** Clocks of the operating system. */
export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs,
  bootMs: createBootClock(),
}
