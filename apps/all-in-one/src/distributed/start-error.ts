/** A process of a service ended before it was ready. The message holds its last words. */
export class ServiceStartError extends Error {
  override readonly name = 'ServiceStartError'
}
