// Main of a node's supervisor: `node supervisor.js --config FILE`.
import { configFileOf, EXIT_CONFIG, NodeConfigError } from './app/machine/config-file.ts'
import { EXIT_IN_USE } from './app/machine/node-record.ts'
import { NodeInUseError, runSupervisor } from './app/machine/run-supervisor.ts'

try {
  await runSupervisor(configFileOf(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof NodeConfigError || error instanceof NodeInUseError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(error instanceof NodeInUseError ? EXIT_IN_USE : EXIT_CONFIG)
}
