import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect } from '@serverless-ai/client'
import { processInput } from '@serverless-ai/config'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { runCli } from './cli.ts'
import { EXIT } from './exit.ts'

const { env, argv } = processInput()
const interrupt = new AbortController()
process.once('SIGINT', () => {
  interrupt.abort()
  // The second one does not wait for anybody.
  process.once('SIGINT', () => process.exit(EXIT.interrupted))
})
// A reader like `head` that has seen enough is no failure.
process.stdout.on('error', (error: Error & { code?: string }) => {
  process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.internal)
})

process.exitCode = await runCli(
  argv,
  {
    out: (piece) => process.stdout.write(piece),
    err: (piece) => process.stderr.write(piece),
    readStdin: () => text(process.stdin),
    env,
    cwd: process.cwd(),
    clock: systemClock,
    timers: systemTimers,
    signal: interrupt.signal,
    connect,
  },
  join(import.meta.dirname, '..', '..', '..'),
)
