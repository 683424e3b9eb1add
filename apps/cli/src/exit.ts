import { RpcError } from '@serverless-ai/kernel'

/** Exit statuses of `sai`; documented in the README. */
export const EXIT = {
  ok: 0,
  /** The job failed, was cancelled or refused; `sai status`: degraded. */
  jobFailed: 1,
  /** `sai admin topics check` and `apply`: something is not as planned. */
  notAsPlanned: 1,
  usage: 2,
  /** The platform refused. */
  refused: 3,
  notFound: 4,
  /** Nobody answers. */
  unreachable: 5,
  /** A bug. */
  internal: 70,
  /** Ctrl-C; a followed job goes on. */
  interrupted: 130,
} as const

/** Something the user can mend; the message is the whole story. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exit: number
  readonly reason: string
  constructor(reason: string, message: string, exit: number = EXIT.usage) {
    super(message)
    this.reason = reason
    this.exit = exit
  }
}

/** Exit status for a failed call. */
export function exitOf(error: unknown): number {
  if (error instanceof CliError) return error.exit
  if (!(error instanceof RpcError)) return EXIT.internal
  switch (error.code) {
    case 'NOT_FOUND':
      return EXIT.notFound
    case 'UNAVAILABLE':
    case 'DEADLINE_EXCEEDED':
      return EXIT.unreachable
    case 'CANCELLED':
      return EXIT.interrupted
    case 'INTERNAL':
    case 'UNKNOWN':
      return EXIT.internal
    default:
      return EXIT.refused
  }
}
