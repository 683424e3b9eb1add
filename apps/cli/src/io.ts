import type { ConnectOptions, PlatformClient } from '@serverless-ai/client'
import type { Clock, Timers } from '@serverless-ai/kernel'

/** Everything a command touches outside of itself. */
export interface Io {
  /** Answers. */
  readonly out: (text: string) => void
  /** What happens, errors. */
  readonly err: (text: string) => void
  /** All of standard input. */
  readonly readStdin: () => Promise<string>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly clock: Clock
  readonly timers: Timers
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly connect: (options: ConnectOptions) => PlatformClient
}
