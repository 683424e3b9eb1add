import type { JobRequest } from '@serverless-ai/contracts/schedule/v1/schedule'

/** An advice that was good is trusted for so long, ms. Enqueue decides anyway. */
const FRESH_MS = 2_000
/** Shapes that are remembered. */
const SHAPES_MAX = 1_000

/** All that the scheduler's advice depends on. */
function shapeOf(job: JobRequest): string {
  const { tenant, queue, gangs, waitForCapacity } = job
  const words = gangs.map(({ tasks, perTask, deviceModels, rank0Ports, exclusive }) => [
    tasks,
    perTask?.devices,
    String(perTask?.cpuMillis),
    String(perTask?.memoryMib),
    deviceModels,
    rank0Ports,
    exclusive,
  ])
  return JSON.stringify([tenant, queue, waitForCapacity, words])
}

/**
 * Shapes of jobs that the scheduler would have taken a moment ago: many jobs of one shape in a row
 * ask once. Only good advice is remembered, so nobody is refused by a memory.
 */
export class GoodAdvice {
  readonly #atMs = new Map<string, number>()

  /** True when a job of this shape was welcome a moment ago. */
  has(job: JobRequest, nowMs: number): boolean {
    const atMs = this.#atMs.get(shapeOf(job))
    return atMs !== undefined && nowMs - atMs < FRESH_MS
  }

  remember(job: JobRequest, nowMs: number): void {
    const shape = shapeOf(job)
    this.#atMs.delete(shape)
    this.#atMs.set(shape, nowMs)
    const [oldest] = this.#atMs.keys()
    if (this.#atMs.size > SHAPES_MAX && oldest !== undefined) this.#atMs.delete(oldest)
  }
}
