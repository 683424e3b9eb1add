// Main of a node's agent; its supervisor starts it: `node agent.js --config FILE`.
import { configFileOf, EXIT_CONFIG, NodeConfigError } from './app/machine/config-file.ts'
import { runAgent } from './app/machine/run-agent.ts'

try {
  await runAgent(configFileOf(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof NodeConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(EXIT_CONFIG)
}
