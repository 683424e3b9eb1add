import 'reflect-metadata'
import { loadConfigOrExit } from '@serverless-ai/config'
import { EXIT_UNAVAILABLE, isStartError } from '@serverless-ai/hosting'
import { allInOneConfig } from './config.ts'
import { startPlatform } from './platform.ts'

const config = loadConfigOrExit('npm start --', allInOneConfig)
const starting = new AbortController()
let stop = async (): Promise<void> => starting.abort(new Error('interrupted during the start'))
let stopping = false
// From the first moment on: what a start has begun is ended by Ctrl-C, too. SIGHUP: the terminal
// was closed, and the nodes are detached from it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    stop().catch((error: unknown) => {
      process.stderr.write(`stop failed: ${String(error)}\n`)
      process.exit(1)
    })
  })
}
// Nobody reads what is said any more (a closed pipe or terminal): that ends no job.
for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined)
try {
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  const platform = await startPlatform(config, { say }, { signal: starting.signal })
  stop = async () => {
    await platform.stop()
    process.exit(0)
  }
} catch (error) {
  if (starting.signal.aborted) process.exit(0)
  if (!isStartError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(EXIT_UNAVAILABLE)
}
