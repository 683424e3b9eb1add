import type { Applied, Shown } from './applied.ts'
import type { Command, History, Read } from './operations.ts'

/** What a history can suffer from. */
export type AnomalyKind = 'lost' | 'duplicated' | 'reordered' | 'torn' | 'stale'

/** A promise that a history breaks. */
export interface Anomaly {
  readonly kind: AnomalyKind
  /** Job, or request where no job is known. */
  readonly about: string
  readonly message: string
}

type Tell = (kind: AnomalyKind, about: string, message: string) => void

/** Refusals that only say that the first answer is no longer known. */
const FORGOTTEN: ReadonlySet<string> = new Set(['REQUEST_TOO_OLD', 'JOB_NOT_FOUND'])

/** `mediator:0:17:9` → 17; NaN for positions of other logs. */
const positionOf = (position: string): number => {
  const [service, , number] = position.split(':')
  return service === 'mediator' ? Number(number) : Number.NaN
}

/**
 * Compares what users were answered with what the logs effectively hold: an accepted command is
 * there, once, in the order in which answers allowed others to follow; a refused one is not; a read
 * with a position shows that position or later, and no read shows what never was.
 */
export function anomaliesOf(history: History, applied: Applied): readonly Anomaly[] {
  const anomalies: Anomaly[] = []
  const tell: Tell = (kind, about, message) => anomalies.push({ kind, about, message })
  const commands = history.filter((one): one is Command => one.kind !== 'read')
  for (const command of commands) checkCommand(command, applied, tell)
  checkOrder(commands, applied, tell)
  checkWhole(applied, tell)
  for (const one of history) if (one.kind === 'read') checkRead(one, applied, tell)
  return anomalies
}

function checkCommand(command: Command, applied: Applied, tell: Tell): void {
  const { kind, requestId, jobId, outcome, reason } = command
  const about = jobId === '' ? requestId : jobId
  const answers = applied.requests.get(requestId) ?? []
  const said = `${kind} ${requestId} was ${outcome}`
  if (answers.length > 1) {
    const where = answers.map(({ position }) => position).join(', ')
    tell('duplicated', about, `${said}; it is answered at positions ${where}`)
  }
  if (kind === 'submit') checkSubmit(command, applied, tell)
  if (outcome === 'accepted') {
    const [answer] = answers
    if (answer?.ok !== true) {
      const log = answer === undefined ? 'holds no answer to it' : `refused it: ${answer.reason}`
      tell('lost', about, `${said}, and the effective log ${log}`)
    } else if (!(positionOf(command.position) >= answer.position)) {
      const text = `its answer names position ${command.position}, its commit is ${answer.position}`
      tell('stale', about, `${said}; ${text}`)
    }
    const times = applied.cancelled.get(jobId) ?? 0
    if (kind === 'cancel' && times > 1) {
      tell('duplicated', about, `${said}; the cancellation is recorded ${times} times`)
    }
  } else if (outcome === 'refused' && !FORGOTTEN.has(reason) && answers[0]?.ok === true) {
    const text = `${said} ${reason}, and the log accepted it at ${answers[0].position}`
    tell('torn', about, text)
  }
}

function checkSubmit(command: Command, applied: Applied, tell: Tell): void {
  const { requestId, jobId, outcome } = command
  const jobs = applied.submitted.get(requestId) ?? []
  const said = `submit ${requestId} was ${outcome}`
  const about = jobId === '' ? requestId : jobId
  if (jobs.length > 1) {
    tell('duplicated', about, `${said}; it made ${jobs.map((one) => one.jobId).join(' and ')}`)
  }
  for (const { jobId: made } of jobs) {
    const times = applied.queued.get(made) ?? 0
    if (times > 1) tell('duplicated', made, `${said}; ${made} was queued ${times} times`)
    if (outcome === 'refused' && times > 0) {
      tell('torn', made, `${said}, and its job ${made} was queued`)
    }
  }
  if (outcome !== 'accepted') return
  if (!jobs.some((one) => one.jobId === jobId)) {
    tell('lost', about, `${said} as ${jobId}; the effective log holds no such job`)
  } else if ((applied.queued.get(jobId) ?? 0) === 0) {
    tell('lost', about, `${said} as ${jobId}; the scheduler's log does not hold it`)
  }
}

/** A command whose caller began after another one's answer stands behind it in the log. */
function checkOrder(commands: readonly Command[], applied: Applied, tell: Tell): void {
  const placed = commands.flatMap((command) => {
    const position = applied.requests.get(command.requestId)?.[0]?.position
    return position === undefined || command.outcome !== 'accepted' ? [] : [{ command, position }]
  })
  const byReturn = [...placed].sort((a, b) => a.command.returnedMs - b.command.returnedMs)
  const byInvoke = [...placed].sort((a, b) => a.command.invokedMs - b.command.invokedMs)
  let next = 0
  let newest: (typeof placed)[number] | undefined
  for (const later of byInvoke) {
    for (; next < byReturn.length; next += 1) {
      const earlier = byReturn[next]!
      if (earlier.command.returnedMs >= later.command.invokedMs) break
      if (newest === undefined || earlier.position > newest.position) newest = earlier
    }
    if (newest === undefined || newest.position <= later.position) continue
    const { requestId, returnedMs } = newest.command
    const text = `began after ${requestId} was answered (${returnedMs}), and stands before it`
    const where = `at ${later.position} and ${newest.position}`
    tell('reordered', later.command.requestId, `${later.command.requestId} ${text}, ${where}`)
  }
}

/** A submission and the answer to it are one commit. */
function checkWhole(applied: Applied, tell: Tell): void {
  for (const [requestId, jobs] of applied.submitted) {
    const answers = applied.requests.get(requestId) ?? []
    for (const { jobId, position } of jobs) {
      if (requestId === '' || answers.some((answer) => answer.position === position)) continue
      tell('torn', jobId, `${jobId} is submitted at ${position} without the answer to ${requestId}`)
    }
  }
}

function checkRead(read: Read, applied: Applied, tell: Tell): void {
  const { jobId, minPosition, found, state, position } = read
  const at = `read of ${jobId} from ${minPosition || '(no position)'}`
  const from = minPosition === '' ? -1 : positionOf(minPosition)
  const readAt = positionOf(position)
  if (position !== '' && readAt < from) tell('stale', jobId, `${at}: answered at ${position}`)
  if (readAt > applied.end) {
    tell('lost', jobId, `${at}: answered at ${position}, the effective log ends ${applied.end}`)
  }
  const shown = applied.shown.get(jobId) ?? []
  const oldest = shown.findLastIndex((one) => one.position <= from)
  if (!found) {
    if (oldest >= 0) tell('stale', jobId, `${at}: not found; ${textOf(shown)}`)
    return
  }
  const allowed = shown.slice(Math.max(0, oldest))
  if (allowed.some((one) => one.state === state)) return
  const before = shown.some((one) => one.state === state)
  tell(before ? 'stale' : 'lost', jobId, `${at}: shows ${state}; from there ${textOf(allowed)}`)
}

function textOf(shown: readonly Shown[]): string {
  if (shown.length === 0) return 'the effective log says nothing of it'
  const list = shown.map(({ state, position }) => `${state} at ${position}`)
  return `the effective log says ${list.join(', ')}`
}
