/** What gates tell, looked through, and what it comes to. */
import type { Signals } from './messages.ts'
import type { Clause } from './model.ts'

/** What a gate holds of a service. */
export interface LoadFact {
  readonly jobId: string
  /** Wall clock of the gate, ms. */
  readonly atMs: number
  readonly inside: number
  readonly held: number
  /** Since the boot of the gate. */
  readonly arrivedTotal: number
}

/** A request that came to its end. Absent = not known. */
export interface EndedFact {
  readonly jobId: string
  readonly atMs: number
  /** When it came, wall clock of the gate, ms. */
  readonly arrivedMs: number
  /** It was answered in full. */
  readonly answered: boolean
  readonly queueUs?: number
  readonly ttftUs?: number
  readonly tpotUs?: number
  readonly e2eUs: number
  readonly outputTokens: number
}

/** A batch of measurements, looked through. */
export interface BatchFacts {
  readonly source: string
  readonly bootId: string
  readonly sentMs: number
  /** Before it batches of its source did not come for so long, ms; 0 = none are missing. */
  readonly missingMs: number
  readonly loads: readonly LoadFact[]
  readonly ended: readonly EndedFact[]
}

const over = (value: number | undefined, limit: number): boolean =>
  value === undefined || value > limit

/** Whether a request missed a clause. */
function misses(request: EndedFact, { indicator, thresholdUs }: Clause): boolean {
  if (!request.answered) return true
  switch (indicator) {
    case 'ttft':
      return over(request.ttftUs, thresholdUs)
    case 'tpot':
      // Of a single token there is none.
      return request.tpotUs !== undefined && request.tpotUs > thresholdUs
    case 'e2e':
      return request.e2eUs > thresholdUs
    case 'wait':
      return over(request.queueUs, thresholdUs)
    case 'availability':
      return false
  }
}

/** Requests that ended, summed up; the newest of them was heard `ageMs` ago. */
export function endedOf(
  ended: readonly EndedFact[],
  clauses: readonly Clause[],
  { ageMs, spanMs }: { readonly ageMs: number; readonly spanMs: number | undefined },
): Pick<Signals, 'ended'> {
  if (ended.length === 0) return {}
  let outputTokens = 0
  let served = 0
  let serviceUs = 0
  for (const { answered, queueUs, e2eUs, outputTokens: tokens } of ended) {
    outputTokens += tokens
    // What was refused, or failed at once, says nothing of what an answer takes.
    if (!answered || queueUs === undefined) continue
    served += 1
    serviceUs += Math.max(0, e2eUs - queueUs)
  }
  const missed = clauses.map((clause) => ended.filter((one) => misses(one, clause)).length)
  return {
    ended: {
      finished: ended.length,
      outputTokens,
      missed,
      served,
      ...(spanMs === undefined ? {} : { spanMs }),
      serviceUs: Math.round(serviceUs),
      ageMs,
    },
  }
}
