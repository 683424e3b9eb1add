/**
 * How the program ends. The numbers follow sysexits.h where one fits, so that a platform can tell
 * a user's mistake (64 to 66, 74) from something that a new generation mends (75, 76).
 */
export const EXIT = {
  ok: 0,
  /** An option or a variable of the launch contract is missing or out of range. */
  usage: 64,
  /** The checkpoint to resume from is damaged, or was written with other settings. */
  badData: 65,
  /** The checkpoint directory, the checkpoint or the data file is not there. */
  noInput: 66,
  /** A defect of this program. */
  software: 70,
  /** A report, journal or checkpoint could not be written (disk full, no permission). */
  ioError: 74,
  /** A peer was lost, or the gang did not come together in time: worth a new generation. */
  peerLost: 75,
  /** This process belongs to a generation that a newer one has replaced. */
  superseded: 76,
  /** Stopped by SIGINT. */
  interrupted: 130,
  /** Stopped by SIGTERM. */
  terminated: 143,
} as const

/** An end of the program with a message for people on stderr and one of {@link EXIT}. */
export class WorkloadError extends Error {
  override readonly name = 'WorkloadError'
  readonly exitCode: number

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** The `code` of a Node system error (`ENOENT`, `EADDRINUSE` …), or '' for anything else. */
export function systemCode(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
