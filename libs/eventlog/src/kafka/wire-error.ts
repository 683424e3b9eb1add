/** A request that failed: Kafka's name of the error, or `NETWORK`. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly code: string
  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/** Kafka's name of an error of the library, or `NETWORK`. */
export function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(codeOf).at(0) ?? 'NETWORK'
  const id = error instanceof Error && 'apiId' in error ? error.apiId : undefined
  return typeof id === 'string' ? id : 'NETWORK'
}
