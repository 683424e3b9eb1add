import type { ExitCause, TaskEnd, Verdict } from './model.ts'

/**
 * Causes from the most to the least telling: when a gang fails, its other ranks end too (lost
 * peer), so the strongest evidence names the cause. A planned shut-down of a node explains
 * everything else; an exit code explains only itself.
 */
const STRENGTH: readonly ExitCause[] = [
  'NODE_SHUTDOWN',
  'NODE_LOST',
  'SUPERVISOR_LOST',
  'LEASE_LAPSED',
  'PORT_IN_USE',
  'PREPARE_FAILED',
  'OUT_OF_MEMORY',
  'START_FAILED',
  'EXITED',
  'NEVER_READY',
]

const strengthOf = (end: TaskEnd): number => {
  // A SIGKILL that the platform did not send comes from the machine (or an operator), not from the
  // program.
  if (end.cause === 'EXITED' && end.signal === 'SIGKILL')
    return STRENGTH.indexOf('PREPARE_FAILED') + 0.5
  const at = STRENGTH.indexOf(end.cause)
  return at < 0 ? STRENGTH.length : at
}

/**
 * True when an end says that something went wrong (and not: done, or stopped as asked).
 * @param serves it is a server: one that ends by itself has not done its work
 */
export function isFailure(end: TaskEnd, serves = false): boolean {
  if (end.cause === 'STOPPED') return false
  if (serves) return true
  return !(end.cause === 'EXITED' && end.exitCode === 0 && end.signal === '')
}

/** The evidence line of an end. */
export function evidenceOf(end: TaskEnd): string {
  const how =
    end.cause === 'EXITED'
      ? end.signal === ''
        ? `exit code ${end.exitCode}`
        : `signal ${end.signal}`
      : end.cause
  // Of a process that ended by itself the code or signal says all that the node's sentence does.
  const more = end.message === '' || end.cause === 'EXITED' ? '' : ` (${end.message})`
  return `rank ${end.rank} on ${end.nodeId}: ${how}${more}`
}

function classify(end: TaskEnd): { blame: Verdict['blame']; cause: string } {
  switch (end.cause) {
    case 'NODE_SHUTDOWN':
    case 'LEASE_LAPSED':
    case 'PORT_IN_USE':
      return { blame: 'Planned', cause: end.cause }
    case 'NODE_LOST':
    case 'SUPERVISOR_LOST':
    case 'PREPARE_FAILED':
      return { blame: 'Infrastructure', cause: end.cause }
    case 'OUT_OF_MEMORY':
    case 'START_FAILED':
    case 'NEVER_READY':
      return { blame: 'User', cause: end.cause }
    default:
      if (end.signal === 'SIGKILL') return { blame: 'Infrastructure', cause: 'KILLED_FROM_OUTSIDE' }
      if (end.signal === '' && end.exitCode === 0) return { blame: 'User', cause: 'SERVER_ENDED' }
      return { blame: 'User', cause: end.signal === '' ? 'EXIT_CODE' : 'CRASHED' }
  }
}

/**
 * Blame by evidence: the strongest end names the cause, the earliest one of that strength is
 * quoted.
 * @param ends ends of one generation, at least one of them a failure
 * @param serves see {@link isFailure}
 */
export function judge(ends: readonly TaskEnd[], serves = false): Verdict {
  const failures = ends.filter((end) => isFailure(end, serves))
  const [first] = [...failures].sort(
    (a, b) => strengthOf(a) - strengthOf(b) || a.atMs - b.atMs || a.rank - b.rank,
  )
  if (first === undefined) {
    return { blame: 'Infrastructure', cause: 'UNKNOWN', summary: 'no evidence', avoidNodes: [] }
  }
  const { blame, cause } = classify(first)
  const sameCause = failures.filter((end) => strengthOf(end) === strengthOf(first))
  const avoidNodes =
    blame === 'Infrastructure' ? [...new Set(sameCause.map((end) => end.nodeId))].sort() : []
  return { blame, cause, summary: evidenceOf(first), avoidNodes }
}
