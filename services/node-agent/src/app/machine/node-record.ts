import { join } from 'node:path'
import { isRecord, readJson } from '../../adapters/os/files.ts'

/** Purpose of the lock that a supervisor holds on its node directory. */
export const SUPERVISOR_LOCK = 'supervisor'

/** Exit status of a supervisor when another one owns the node directory. */
export const EXIT_IN_USE = 75

/** What `<nodeDir>/supervisor.json` says of the supervisor that owns the directory. */
export interface NodeRecord {
  readonly nodeId: string
  readonly pid: number
  /** Field 22 of /proc/PID/stat: tells it from a later process with the same id. */
  readonly startTime: string
  /** Session, new at every start. */
  readonly session: string
  /** Wall clock of the start, ms since 1970. */
  readonly startedMs: number
  /** 0 = no agent now. */
  readonly agentPid: number
  readonly agentStartTime: string
  /** True when it was shut down in order. */
  readonly stopped: boolean
}

/** Path of the record. */
export function nodeRecordPath(nodeDir: string): string {
  return join(nodeDir, 'supervisor.json')
}

/** Reads the record of a node directory; undefined when there is none. */
export function readNodeRecord(nodeDir: string): NodeRecord | undefined {
  const value = readJson(nodeRecordPath(nodeDir))
  if (!isRecord(value)) return undefined
  const { nodeId, pid, startTime, session, startedMs, agentPid, agentStartTime, stopped } = value
  if (typeof nodeId !== 'string' || typeof pid !== 'number') return undefined
  if (typeof startTime !== 'string' || typeof session !== 'string') return undefined
  if (typeof startedMs !== 'number' || typeof agentPid !== 'number') return undefined
  if (typeof agentStartTime !== 'string' || typeof stopped !== 'boolean') return undefined
  return { nodeId, pid, startTime, session, startedMs, agentPid, agentStartTime, stopped }
}
