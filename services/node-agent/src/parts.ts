/**
 * The parts of a node that know no operating system: what runs on a simulated machine is what runs
 * on a real one. Importing this has no effects.
 */
export type { NodeInventory } from './adapters/grpc/mapping.ts'
export {
  AgentSession,
  type AgentSessionOptions,
  type MachineParts,
} from './app/agent/agent-session.ts'
export type { LogQuery, LogSource } from './app/agent/log-source.ts'
export type { AskProbe } from './app/agent/prober.ts'
export type { WorkspaceSource } from './app/agent/workspace-source.ts'
export type { PortRange, PrepareProblem, ToAgent, ToSupervisor } from './app/ipc.ts'
export {
  type AgentChild,
  type AgentEvents,
  AgentProcess,
  type AgentProcessOptions,
  type LaunchAgent,
} from './app/supervisor/agent-process.ts'
export type { NodeHost, ReportLines } from './app/supervisor/node-host.ts'
export type { NodeStore, Write } from './app/supervisor/node-store.ts'
export {
  SHUTDOWN_GRACE_MS,
  Supervisor,
  type SupervisorOptions,
} from './app/supervisor/supervisor.ts'
export type { TaskDirectories } from './app/supervisor/task-paths.ts'
export { checkpointDirOf, reportPathOf, taskPathsOf } from './app/supervisor/task-paths.ts'
export type {
  LaunchedProcess,
  PreparedProcess,
  ProcessEnd,
  ProcessSpec,
  StartProblem,
  TaskProcesses,
} from './app/supervisor/task-processes.ts'
export { type NodeConfig, type NodeConfigInput, parseNodeConfig } from './core/config.ts'
export {
  compareVersions,
  type DesiredVersion,
  type ExecutionKey,
  keyFromPath,
  keyPath,
  keyText,
  NO_VERSION,
} from './core/keys.ts'
export { type CheckpointPlace, passedOn, problemOfLine, type ReportLine } from './core/lines.ts'
export type { Readiness, ReadinessProbe } from './core/probe.ts'
export {
  type LeftExecution,
  parseExit,
  parseJournal,
  parseStart,
  type StartRecord,
} from './core/records.ts'
export { type Assignment, exitOf, type TaskExit } from './core/types.ts'
