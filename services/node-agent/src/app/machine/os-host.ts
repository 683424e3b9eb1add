import type { Clock, Timers } from '@serverless-ai/kernel'
import type { Cgroups } from '../../adapters/os/cgroup.ts'
import type { CpuQuota } from '../../adapters/os/cpu-quota.ts'
import type { Isolation } from '../../adapters/os/launch.ts'
import { isRunning, killAll, signal } from '../../adapters/os/proc.ts'
import type { NodeConfig } from '../../core/config.ts'
import type { LeftExecution } from '../../core/records.ts'
import type { NodeHost } from '../supervisor/node-host.ts'
import { osProcesses } from './os-processes.ts'
import { ReportTail } from './report-tail.ts'
import type { FileNodeStore } from './store.ts'
import { makeTaskDirectories, removeTaskDirectory, writeTaskNotice } from './task-directories.ts'
import { tenantUid } from './tenants.ts'

/** How often report files are looked at while tasks run, ms. */
const LOOK_EVERY_MS = 250

/** What the machine under a supervisor is made of. */
export interface OsHostOptions {
  readonly config: () => NodeConfig
  readonly clock: Clock
  readonly timers: Timers
  readonly store: FileNodeStore
  readonly isolation: Isolation
  readonly cgroups: Cgroups | undefined
  /** Binds emulated devices where `cgroups` cannot. */
  readonly cpuQuota: CpuQuota | undefined
  readonly nodeMark: string
}

/** This machine. */
export function osHost(options: OsHostOptions): NodeHost {
  const { config, timers, isolation, nodeMark } = options
  return {
    isolation: isolation.text,
    nodeMark,
    processes: osProcesses(options),
    lookEveryMs: LOOK_EVERY_MS,
    clearLeftovers: (left) => clearLeftovers(options, left),
    async directoriesFor({ key, tenant }) {
      const uid = isolation.perTenantUid ? await tenantUid(timers, config(), tenant) : undefined
      return makeTaskDirectories(config(), key, uid)
    },
    writeNotice: writeTaskNotice,
    removeDirectory: removeTaskDirectory,
    reportLines: (file) => new ReportTail(file),
  }
}

async function clearLeftovers(
  { cgroups, cpuQuota, timers, nodeMark }: OsHostOptions,
  left: readonly LeftExecution[],
): Promise<number> {
  cgroups?.clear()
  // A leader that is gone, or is itself: otherwise its number was given to somebody else.
  const sessions = left
    .map(({ start }) => start)
    .filter(({ pid, startTime }) => pid > 0 && (isRunning({ pid, startTime }) || !signal(pid, 0)))
    .map(({ pid }) => pid)
  const killed = await killAll(
    timers,
    (marker, session) => marker.startsWith(`${nodeMark}:`) || sessions.includes(session),
  )
  cpuQuota?.clear()
  return killed
}
