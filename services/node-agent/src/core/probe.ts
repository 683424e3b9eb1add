/** How a task is asked whether it can take requests. */
export interface ReadinessProbe {
  /** Path of a GET; empty = a TCP connection. */
  readonly httpGet: string
  readonly port: number
  readonly periodMs: number
  readonly timeoutMs: number
  /** Bad answers in a row after which it is not ready. */
  readonly failureThreshold: number
  /** Good answers in a row after which it is ready. */
  readonly successThreshold: number
}

/** What a probe found. */
export interface Readiness {
  readonly ready: boolean
  /** Why it is not; empty when it is. */
  readonly cause: string
  /** Wall clock of the node at the change, ms since 1970. */
  readonly atMs: number
}

/** Answers so far. */
export interface ProbeCount {
  /** What was said last; undefined = nothing yet. */
  readonly said: Pick<Readiness, 'ready' | 'cause'> | undefined
  readonly good: number
  readonly bad: number
}

/** Before the first answer; `said` goes on where another agent left off. */
export const probeCount = (said: ProbeCount['said']): ProbeCount => ({ said, good: 0, bad: 0 })

/** Limits of what a description may ask for; the default where it asks for nothing. */
export function usableProbe(probe: ReadinessProbe): ReadinessProbe {
  const within = (value: number, [min, max, normal]: readonly [number, number, number]) =>
    value === 0 ? normal : Math.min(max, Math.max(min, value))
  return {
    httpGet: probe.httpGet,
    port: probe.port,
    periodMs: within(probe.periodMs, [100, 300_000, 1_000]),
    timeoutMs: within(probe.timeoutMs, [100, 60_000, 1_000]),
    failureThreshold: within(probe.failureThreshold, [1, 100, 3]),
    successThreshold: within(probe.successThreshold, [1, 100, 1]),
  }
}

/**
 * Takes an answer.
 *
 * @param problem empty = a good one
 * @returns the count after it; its `said` is another object when there is something new to say
 */
export function countAnswer(
  before: ProbeCount,
  problem: string,
  probe: Pick<ReadinessProbe, 'failureThreshold' | 'successThreshold'>,
): ProbeCount {
  const { said } = before
  if (problem === '') {
    const good = before.good + 1
    if (said?.ready === true || good < probe.successThreshold) return { said, good, bad: 0 }
    return { said: { ready: true, cause: '' }, good, bad: 0 }
  }
  const bad = before.bad + 1
  if (bad < probe.failureThreshold) return { said, good: 0, bad }
  if (said?.ready === false && said.cause === problem) return { said, good: 0, bad }
  // The next other cause is told after as many bad answers again.
  return { said: { ready: false, cause: problem }, good: 0, bad: 0 }
}
