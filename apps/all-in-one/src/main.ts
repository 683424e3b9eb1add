import 'reflect-metadata'
import { loadConfigOrExit } from '@serverless-ai/config'
import { exitStatusOf, isStartError, usesKafka } from '@serverless-ai/hosting'
import { allInOneConfig } from './config.ts'
import { ServiceStartError } from './distributed/start-error.ts'

const aliases = { '--kafka': '--kafka.brokers' }
const config = loadConfigOrExit('npm start --', allInOneConfig, { aliases })
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
  // Each with what it needs: the services here, or the client of Kafka.
  const start = usesKafka(config)
    ? (await import('./distributed/platform.ts')).startDistributed
    : (await import('./platform.ts')).startPlatform
  const platform = await start(config, { say }, { signal: starting.signal })
  stop = async () => {
    await platform.stop()
    process.exit(0)
  }
} catch (error) {
  if (starting.signal.aborted) process.exit(0)
  if (!isStartError(error) && !(error instanceof ServiceStartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(exitStatusOf(error))
}
