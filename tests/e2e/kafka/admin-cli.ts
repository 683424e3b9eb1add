import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { runCli } from '@serverless-ai/sai'

/** What a command came to. */
export interface CliOutcome {
  readonly status: number
  /** Standard output as JSON; empty when it printed none. */
  readonly json: {
    readonly topics?: readonly unknown[]
    readonly findings?: readonly unknown[]
    readonly durability?: string
  }
  /** Reason of the error, if it failed. */
  readonly reason: string
  /** Standard error. */
  readonly error: string
}

/** Runs `sai admin …` with `--json` among its words. */
export async function saiAdmin(words: readonly string[]): Promise<CliOutcome> {
  const text = { out: '', err: '' }
  const io = {
    out: (piece: string) => {
      text.out += piece
    },
    err: (piece: string) => {
      text.err += piece
    },
    readStdin: async () => '',
    env: {},
    cwd: '/',
    clock: systemClock,
    timers: systemTimers,
    signal: new AbortController().signal,
    connect: () => {
      throw new Error('these commands speak to brokers, not to the platform')
    },
  }
  const status = await runCli(['admin', ...words], io, '/')
  const reason = text.err === '' ? '' : JSON.parse(text.err).error.reason
  return { status, json: text.out === '' ? {} : JSON.parse(text.out), reason, error: text.err }
}
