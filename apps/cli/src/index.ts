export { runCli, VERSION } from './cli.ts'
export { EXIT } from './exit.ts'
export type { Io } from './io.ts'
