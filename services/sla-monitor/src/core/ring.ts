import { BUCKETS, type Ring, SPARE_BUCKETS, type WindowCounts } from './model.ts'

/** An empty ring for windows of up to `windowMs`. */
export function newRing(bucketMs: number, windowMs: number): Ring {
  const size = Math.ceil(windowMs / bucketMs) + SPARE_BUCKETS
  return { bucketMs, head: -1, good: new Float64Array(size), bad: new Float64Array(size) }
}

/** Bucket length for a window: 1/720 of it, whole evaluation intervals. */
export function bucketFor(windowMs: number, intervalMs: number): number {
  return Math.max(1, Math.ceil(windowMs / (BUCKETS * intervalMs))) * intervalMs
}

/** Adds to the bucket of a time; what is older than the ring is left out. */
export function addTo(ring: Ring, atMs: number, counts: { good: number; bad: number }): void {
  const size = ring.good.length
  const index = Math.floor(atMs / ring.bucketMs)
  if (ring.head >= 0 && index <= ring.head - size) return
  if (index > ring.head) {
    const clear = ring.head < 0 ? size : Math.min(size, index - ring.head)
    for (let step = 0; step < clear; step += 1) {
      ring.good[(index - step) % size] = 0
      ring.bad[(index - step) % size] = 0
    }
    ring.head = index
  }
  const slot = index % size
  ring.good[slot] = (ring.good[slot] ?? 0) + counts.good
  ring.bad[slot] = (ring.bad[slot] ?? 0) + counts.bad
}

/** Sum of the window of `windowMs` that ends with the bucket before `endBucket`. */
export function sumOf(ring: Ring, endBucket: number, windowMs: number): WindowCounts {
  const size = ring.good.length
  const first = Math.max(endBucket - Math.round(windowMs / ring.bucketMs), ring.head - size + 1, 0)
  const end = Math.min(endBucket, ring.head + 1)
  let good = 0
  let bad = 0
  for (let index = first; index < end; index += 1) {
    good += ring.good[index % size] ?? 0
    bad += ring.bad[index % size] ?? 0
  }
  return { events: good + bad, bad }
}

/** `[bucket, good, bad]` of all buckets with anything in them, ascending. */
export function ringToJson(ring: Ring): { head: number; cells: number[][] } {
  const size = ring.good.length
  const cells: number[][] = []
  if (ring.head < 0) return { head: ring.head, cells }
  for (let index = Math.max(0, ring.head - size + 1); index <= ring.head; index += 1) {
    const good = ring.good[index % size] ?? 0
    const bad = ring.bad[index % size] ?? 0
    if (good + bad > 0) cells.push([index, good, bad])
  }
  return { head: ring.head, cells }
}

/** Back again, into an empty ring. */
export function fillRing(ring: Ring, json: { head: number; cells: number[][] }): Ring {
  const size = ring.good.length
  ring.head = json.head
  for (const [index = 0, good = 0, bad = 0] of json.cells) {
    ring.good[index % size] = good
    ring.bad[index % size] = bad
  }
  return ring
}
