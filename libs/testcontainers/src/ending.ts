/** Something to end. */
export type Ending = () => unknown

async function failuresOf(endings: readonly Ending[]): Promise<unknown[]> {
  const failures: unknown[] = []
  for (const end of endings) {
    try {
      await end()
    } catch (error) {
      failures.push(error)
    }
  }
  return failures
}

function thrown(failures: readonly unknown[]): unknown {
  if (failures.length === 1) return failures[0]
  return new AggregateError(failures, failures.map(String).join('; '))
}

/**
 * Ends one after the other, each of them even when one before it failed: what a failure leaves
 * behind outlives the test run.
 * @throws what failed; AggregateError when several did
 */
export async function endAll(endings: readonly Ending[]): Promise<void> {
  const failures = await failuresOf(endings)
  if (failures.length > 0) throw thrown(failures)
}

/** Ends what a failed start has begun. @throws the failure of the start, and of the ends */
export async function endAfter(failure: unknown, endings: readonly Ending[]): Promise<never> {
  throw thrown([failure, ...(await failuresOf(endings))])
}
