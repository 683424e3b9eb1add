/** Services at rest: what is known of the time since their newest bucket. */
import { BUCKET_MS, BUCKETS_KEPT, type LoadState, REST_BUCKETS } from './model.ts'

/** True when the newest buckets brought nothing, so many that no more are recorded. */
export function isAtRest({ arrivals }: Pick<LoadState, 'arrivals'>): boolean {
  if (arrivals.length === 0) return true
  return arrivals.slice(-REST_BUCKETS).every((value) => value === 0)
}

/**
 * Whole buckets since the newest one of which it is known that nothing came: those of a service at
 * rest. Of any other its silence says nothing.
 */
export function quietBucketsOf(load: LoadState, nowMs: number): number {
  if (load.newest < 0 || !isAtRest(load)) return 0
  const now = Math.floor(nowMs / BUCKET_MS)
  return Math.min(BUCKETS_KEPT, Math.max(0, now - 1 - load.newest))
}
