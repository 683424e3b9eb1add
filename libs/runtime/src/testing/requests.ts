/** What the clients of a random history ask for, and what has to have come of it. */
import { invariant } from '@serverless-ai/kernel'
import type { BankCommand, BankState } from './bank.ts'

/** Account of a request. */
export const keyOf = (index: number): string => (index % 3 === 1 ? `dull${index}` : `k${index}`)

/**
 * A client's command: most add to an account of their own, some call somebody, some go wrong after
 * they were decided.
 */
export function commandOf(index: number): BankCommand {
  const key = keyOf(index)
  if (index % 5 === 0) return { type: 'Call', key }
  return index % 7 === 3 ? { type: 'BoomLater' } : { type: 'Add', key, n: 1 }
}

/** Each request was carried out exactly once. Throws with the promise that is broken. */
export function checkRequest(
  index: number,
  { calls, accounts }: BankState,
  performed: ReadonlyMap<string, number>,
): void {
  const command = commandOf(index)
  const key = keyOf(index)
  if (command.type === 'Add') {
    invariant(accounts.get(key) === 1, `P1: ${key} is ${accounts.get(key)}`)
  } else if (command.type === 'Call') {
    const count = (what: string): number => calls.filter((one) => one === `${what} ${key}`).length
    invariant(count('start') === 1 && count('end') === 1, `P9: ${key} is not settled once`)
    invariant((performed.get(key) ?? 0) >= 1, `P9: ${key} was never performed`)
  }
}
