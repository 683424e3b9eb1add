import { once } from 'node:events'
import process, { argv, env } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { loadModel, ModelError } from './model.ts'
import { createPredictServer } from './server.ts'

const USAGE = `usage: main [--model FILE] [--port N] [--startup-delay-ms 0] [--latency-ms 0]
Defaults: SAI_MODEL_PATH and PORT, as the platform sets them.`

// A wrong option or variable, and a model that cannot be served (sysexits.h).
const [EXIT_USAGE, EXIT_NO_INPUT] = [64, 66]

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text)
  if (text !== '' && Number.isInteger(value) && value >= 0 && value <= max) return value
  throw new TypeError(`${name}: want a whole number up to ${max}, got "${text}"`)
}

function settings() {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      model: { type: 'string', default: env['SAI_MODEL_PATH'] ?? '' },
      port: { type: 'string', default: env['PORT'] ?? '' },
      'startup-delay-ms': { type: 'string', default: '0' },
      'latency-ms': { type: 'string', default: '0' },
    },
  })
  if (values.model === '') throw new TypeError('--model: no model was named')
  return {
    model: values.model,
    port: wholeNumber('--port', values.port, 65_535),
    startupDelayMs: wholeNumber('--startup-delay-ms', values['startup-delay-ms'], 3_600_000),
    latencyMs: wholeNumber('--latency-ms', values['latency-ms'], 600_000),
  }
}

async function main(): Promise<void> {
  const { model: file, port, startupDelayMs, latencyMs } = settings()
  const stopped = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopped.abort())
  const model = loadModel(file)
  // As a larger model takes longer to load; nothing listens until then.
  if (startupDelayMs > 0) await sleep(startupDelayMs, undefined, { signal: stopped.signal })
  const server = await createPredictServer(model, { port, latencyMs })
  console.log(`serves step ${model.step} at port ${server.port}`)
  if (!stopped.signal.aborted) await once(stopped.signal, 'abort')
  await server.close()
  console.log('every request is answered')
}

main().catch((error: unknown) => {
  if (error instanceof Error && error.name === 'AbortError') return
  const message = error instanceof Error ? error.message : String(error)
  console.error(`digits-server: ${message}`)
  if (error instanceof TypeError) console.error(USAGE)
  process.exitCode = error instanceof ModelError ? EXIT_NO_INPUT : EXIT_USAGE
})
