/**
 * Waits for a state, not for a time: asks every `everyMs` until the answer is defined, and says
 * what it waited for.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  options: { timeoutMs: number; everyMs?: number },
): Promise<T> {
  const deadline = Date.now() + options.timeoutMs
  let last: unknown
  while (Date.now() < deadline) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 50))
  }
  const why = last === undefined ? '' : ` (last error: ${String(last)})`
  throw new Error(`waited ${options.timeoutMs} ms for: ${what}${why}`)
}
