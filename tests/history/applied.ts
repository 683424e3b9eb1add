import type { CommitSeen, EffectiveHistory } from '@serverless-ai/sim'

/** A request as a log holds it. */
export interface AppliedRequest {
  readonly position: number
  readonly ok: boolean
  readonly reason: string
}

/** State that the mediator shows of a job from a position of its log on. */
export interface Shown {
  readonly position: number
  readonly state: string
}

/** What the effective logs say of jobs and of requests. */
export interface Applied {
  /** Request id → its answers in the mediator's log: one, if all is well. */
  readonly requests: ReadonlyMap<string, readonly AppliedRequest[]>
  /** Request id → jobs that it made: one at most, if all is well. */
  readonly submitted: ReadonlyMap<string, readonly { jobId: string; position: number }[]>
  /** Job → how often its cancellation is recorded. */
  readonly cancelled: ReadonlyMap<string, number>
  /** Job → how often the scheduler took it into a queue. */
  readonly queued: ReadonlyMap<string, number>
  /** Job → states, in the order of the mediator's log. */
  readonly shown: ReadonlyMap<string, readonly Shown[]>
  /** Last position of the mediator's log. */
  readonly end: number
}

class Reader {
  readonly requests = new Map<string, AppliedRequest[]>()
  readonly submitted = new Map<string, { jobId: string; position: number }[]>()
  readonly cancelled = new Map<string, number>()
  readonly queued = new Map<string, number>()
  readonly shown = new Map<string, Shown[]>()
  end = -1

  take({ service, position, commit }: CommitSeen): void {
    if (service === 'scheduler') {
      for (const { type, json } of commit.events) {
        if (type === 'JobQueued') count(this.queued, json.inner('job').text('jobId'))
      }
    }
    if (service !== 'mediator') return
    this.end = position
    for (const { requestId, outcome } of commit.answers) {
      if (requestId === '') continue
      const ok = outcome.json.flag('ok')
      const reason = ok ? '' : outcome.json.inner('refusal').text('reason')
      push(this.requests, requestId, { position, ok, reason })
    }
    for (const { type, json } of commit.events) this.#event(type, json, position)
  }

  #event(type: string, json: CommitSeen['commit']['events'][number]['json'], at: number): void {
    switch (type) {
      case 'JobSubmitted': {
        const jobId = json.text('jobId')
        push(this.submitted, json.text('requestId'), { jobId, position: at })
        push(this.shown, jobId, { position: at, state: 'SUBMITTED' })
        return
      }
      case 'JobEnqueued':
        push(this.shown, json.text('jobId'), { position: at, state: 'QUEUED' })
        return
      case 'JobRejected':
        push(this.shown, json.text('jobId'), { position: at, state: 'REJECTED' })
        return
      case 'JobCancelRequested':
        count(this.cancelled, json.text('jobId'))
        return
      case 'JobStateObserved': {
        const view = json.inner('view')
        const state = plainState(view.text('state'))
        push(this.shown, view.text('jobId'), { position: at, state })
      }
    }
  }
}

/** `Queued`, `STATE_QUEUED` and `QUEUED` are one word. */
export const plainState = (state: string): string => state.replace(/^STATE_/, '').toUpperCase()

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const values = map.get(key)
  if (values === undefined) map.set(key, [value])
  else values.push(value)
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1)
}

/** What effective logs say, for {@link anomaliesOf}. */
export function appliedOf({ commits }: EffectiveHistory): Applied {
  const reader = new Reader()
  for (const commit of commits) reader.take(commit)
  return reader
}
