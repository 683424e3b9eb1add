export { type EffectiveHistory, readHistory } from './check/history.ts'
export { createCheckers } from './check/index.ts'
export type { ClaimSeen, CommitSeen } from './check/seen.ts'
export type { Alarm, Observation } from './check/types.ts'
export { errorText } from './error-text.ts'
export { type ManyInit, PROCESS, runMany } from './many.ts'
export { type RunInit, type RunResult, runSimulation } from './run.ts'
export {
  FAULT_KINDS,
  type FaultKind,
  SCENARIOS,
  type Scenario,
  scenarioOf,
} from './scenarios/index.ts'
export type { Landed, TraceEntry } from './world/types.ts'
