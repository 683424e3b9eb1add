/** Numbers on command lines. */

/** Seeds are cut to 32 bits, so no larger number stands for a run of its own. */
const LAST = 2 ** 32 - 1

/** A flag that cannot be used, with a sentence for people. */
export class FlagError extends Error {}

/** A whole number of a flag, from `least` to 2³² − 1. Throws {@link FlagError}. */
export function wholeNumber(
  text: string | undefined,
  name: string,
  least: 0 | 1,
): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= LAST) return value
  throw new FlagError(`--${name} must be a whole number from ${least} to ${LAST}, not "${text}"`)
}

/** A length of time, above 0. Throws {@link FlagError}. */
export function duration(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value
  throw new FlagError(`--${name} must be a number above 0, not "${text}"`)
}

/**
 * Arguments in which a negative number belongs to the flag before it, as people write it: the
 * parser of Node takes it for a flag of its own and speaks of that.
 */
export function withNegatives(args: readonly string[]): string[] {
  const out: string[] = []
  for (const arg of args) {
    const flag = out.at(-1)
    if (/^-[\d.]/.test(arg) && flag !== undefined && /^--[\w-]+$/.test(flag)) {
      out[out.length - 1] = `${flag}=${arg}`
    } else {
      out.push(arg)
    }
  }
  return out
}
