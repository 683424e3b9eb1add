import { once } from 'node:events'
import process, { argv, env } from 'node:process'
import { parseArgs } from 'node:util'
import { latencyTables } from './latency.ts'
import { startEmulator } from './server.ts'

const USAGE = `usage: main [--table llama2-70b/h100-80gb] [--port N] [--batch-max 64] [--speed 1]
--port is PORT by default, as the platform sets it.`
const EXIT_USAGE = 64

function numberOf(name: string, text: string): number {
  const value = Number(text)
  if (text !== '' && Number.isFinite(value) && value >= 0) return value
  throw new TypeError(`${name}: want a number, got "${text}"`)
}

function settings() {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      table: { type: 'string', default: 'llama2-70b/h100-80gb' },
      port: { type: 'string', default: env['PORT'] ?? '' },
      'batch-max': { type: 'string', default: '64' },
      speed: { type: 'string', default: '1' },
    },
  })
  const { tables } = latencyTables()
  const table = tables[values.table]
  if (table === undefined) throw new TypeError(`--table: one of ${Object.keys(tables).join(', ')}`)
  return {
    model: `emulated/${values.table}`,
    table,
    port: numberOf('--port', values.port),
    batchMax: Math.max(1, numberOf('--batch-max', values['batch-max'])),
    speed: Math.max(0.001, numberOf('--speed', values.speed)),
  }
}

async function main(): Promise<void> {
  const options = settings()
  const stopped = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopped.abort())
  const emulator = await startEmulator(options)
  console.log(`EMULATOR, no model: ${options.model} at port ${emulator.port}`)
  if (!stopped.signal.aborted) await once(stopped.signal, 'abort')
  await emulator.close()
}

main().catch((error: unknown) => {
  console.error(`llm-emulator: ${error instanceof Error ? error.message : String(error)}`)
  if (error instanceof TypeError) console.error(USAGE)
  process.exitCode = EXIT_USAGE
})
