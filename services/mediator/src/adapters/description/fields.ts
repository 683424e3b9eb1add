import { z } from 'zod'
import { type Amount, parseCpu, parseDuration, parseLogSize, parseMemory } from './amounts.ts'

/** Kinds of fields that descriptions have. */

const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const NAME_RULE = 'must be 1 to 63 of a-z, 0-9 and "-", not "-" at the ends'

/** An amount with a unit. */
export function amount(parse: (written: unknown) => Amount, pattern: RegExp) {
  const problem = (written: unknown): string => {
    const found = parse(written)
    return found.ok ? '' : found.problem
  }
  return z
    .union([z.string().regex(pattern), z.number()], { error: (issue) => problem(issue.input) })
    .superRefine((written, context) => {
      const message = problem(written)
      if (message !== '') context.addIssue({ code: 'custom', message })
    })
}

export const memory = () => amount(parseMemory, /^\d+(\.\d+)?\s*(Mi|Gi|Ti)$/)
export const logSize = () => amount(parseLogSize, /^\d+(\.\d+)?\s*(Ki|Mi|Gi)$/)
export const duration = () => amount(parseDuration, /^\d+(\.\d+)?\s*(ms|s|m|h)$/)
export const cpu = () => amount(parseCpu, /^\d+(\.\d+)?\s*m?$/)
export const count = (min: number, max: number) => z.number().int().min(min).max(max)
export const name = () => z.string().regex(NAME, NAME_RULE)

/** A duration that was validated, ms. */
export function durationOf(written: unknown): number {
  const found = parseDuration(written)
  if (!found.ok) throw new TypeError(`validated duration: ${found.problem}`)
  return found.value
}
