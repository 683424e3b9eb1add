import 'reflect-metadata'
import { loadConfigOrExit } from '@serverless-ai/config'
import { EXIT_UNAVAILABLE, isStartError } from '@serverless-ai/hosting'
import { allInOneConfig } from './config.ts'
import { startPlatform } from './platform.ts'

const config = loadConfigOrExit('npm start --', allInOneConfig)
try {
  const platform = await startPlatform(config, {
    say: (line) => void process.stdout.write(`${line}\n`),
  })
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stopping) return
      stopping = true
      platform.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`stop failed: ${String(error)}\n`)
          process.exit(1)
        },
      )
    })
  }
} catch (error) {
  if (!isStartError(error)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(EXIT_UNAVAILABLE)
}
