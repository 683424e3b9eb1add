export { Engine, type Sequence } from './engine.ts'
export { type LatencyTable, latencyTables, timeAt } from './latency.ts'
export { type Emulator, type EmulatorOptions, startEmulator } from './server.ts'
