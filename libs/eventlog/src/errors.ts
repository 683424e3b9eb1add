/** The log was closed while a read waited, or before it began. */
export class LogClosedError extends Error {
  override readonly name = 'LogClosedError'
  constructor() {
    super('the log is closed')
  }
}
