/** Identity of an execution: a task's run on a node. */
export interface ExecutionKey {
  readonly jobId: string
  /** Gang inside the job, from 0. */
  readonly gang: number
  /** Generation of the gang, from 1. */
  readonly generation: number
  /** Rank inside the gang, from 0. */
  readonly rank: number
}

/**
 * Version of a desired set: compared by epoch, then by position. Decimal digits, as JSON has no
 * 64-bit numbers.
 */
export interface DesiredVersion {
  readonly epoch: string
  readonly position: string
}

/** Below every version a pool manager can send. */
export const NO_VERSION: DesiredVersion = { epoch: '0', position: '0' }

/** One key as text, unique and safe as a map key. */
export function keyText(key: ExecutionKey): string {
  return `${key.jobId}/${key.gang}/${key.generation}/${key.rank}`
}

/** Folder of an execution below a root: `<job>/<gang>-<generation>-<rank>`. */
export function keyPath(key: ExecutionKey): string {
  return `${key.jobId}/${key.gang}-${key.generation}-${key.rank}`
}

/** Reads a folder name of {@link keyPath} back; undefined when it is none. */
export function keyFromPath(jobId: string, folder: string): ExecutionKey | undefined {
  const match = /^(\d{1,9})-(\d{1,9})-(\d{1,9})$/.exec(folder)
  if (match === null) return undefined
  return {
    jobId,
    gang: Number(match[1]),
    generation: Number(match[2]),
    rank: Number(match[3]),
  }
}

/** True when a job id may be a folder name. */
export function isSafeName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)
}

/** Negative when `a` is older than `b`, 0 when equal. */
export function compareVersions(a: DesiredVersion, b: DesiredVersion): number {
  const epochs = BigInt(a.epoch) - BigInt(b.epoch)
  const difference = epochs === 0n ? BigInt(a.position) - BigInt(b.position) : epochs
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}
