import {
  type RefusalDetails as Details,
  type RefusalSentences,
  refusalErrors,
} from '@serverless-ai/rpc'

const numberOf = (details: Details, name: string): number => Number(details[name] ?? 0)
const percent = (ppm: number): string => `${Number((ppm / 10_000).toFixed(4))} %`
const burn = (milli: number): string => `${milli / 1_000}`
const seconds = (ms: number): string => `${ms / 1_000} s`

function invalid({ field, value, min, max, multipleOf, allowed }: Details): string {
  if (multipleOf !== undefined) return `${field} is ${value}; it is a multiple of ${multipleOf}`
  if (allowed !== undefined) return `${field} is "${value}"; it is "${allowed}"`
  if (min === undefined && max === undefined) return `${field} is not valid`
  if (value === undefined) return `${field} is too long; at most ${max}`
  return `${field} is ${value}; it is ${min ?? ''} to ${max ?? ''}`
}

/** Which alert cannot fire, why, by how much, and what would mend it. */
function cannotFire(details: Details): string {
  const of = (name: string): number => numberOf(details, name)
  const rule =
    `rule ${of('rule')} (${details['severity']}: ${percent(of('budgetPpm'))} of the budget ` +
    `in ${seconds(of('longMs'))}, burn rate ${burn(of('burnMilli'))})`
  switch (details['why']) {
    case 'TARGET_TOO_LOW':
      return (
        `${rule} can never fire: with everything bad the burn rate is ${burn(of('highest'))}. ` +
        `Mend: a target of at least ${percent(of('minTargetPpm'))}, ` +
        `or at most ${percent(of('maxBudgetPpm'))} of the budget in this rule`
      )
    case 'BELOW_BUDGET':
      return (
        `${rule} alerts although the budget lasts: its burn rate is below 1. ` +
        `Mend: at least ${percent(of('minBudgetPpm'))} of the budget in this window`
      )
    case 'LIKE_CHANCE':
      return (
        `${rule} cannot be told from chance: it would page falsely more than once in 100 days ` +
        `even with ${of('minBad')} bad events. Mend: more of the budget, or a ticket`
      )
    default:
      return (
        `${rule} can never fire at ${of('expectedPerHour')} events an hour: it needs ` +
        `${of('minRatePerHour')} (${of('minSample')} events and ${of('minBad')} bad ones ` +
        `in its window at least). Mend: a long window of at least ${seconds(of('minLongMs'))}, ` +
        `or a smaller minimum sample`
      )
  }
}

/** What the SLA monitor says with each of its reasons; their codes are in the catalogue. */
const SENTENCES = {
  ALERT_CANNOT_FIRE: cannotFire,
  CLASS_UNKNOWN: ({ field, class: name, known }) =>
    `there is no class "${name}" of requests (${field}); there are ${known}`,
  INVALID_OBJECTIVE: invalid,
  OBJECTIVE_CHANGED: ({ expected, current }) =>
    `version ${expected} of the objective was meant, ${current} is current`,
  OBJECTIVE_EXISTS: ({ name, objectiveId }) => `objective ${name} exists already (${objectiveId})`,
  OBJECTIVE_NOT_FOUND: ({ objective }) => `no objective ${objective}`,
  OBJECTIVE_PROMISE_FIXED: ({ field }) =>
    `${field} is part of the promise: declare another objective`,
  TOO_MANY_OBJECTIVES: ({ max }) => `the cell has ${max} objectives`,
} as const satisfies RefusalSentences

/** The error of a refusal by the core or the runtime. */
export const errorOf = refusalErrors(SENTENCES)
