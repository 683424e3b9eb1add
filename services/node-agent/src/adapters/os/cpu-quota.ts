import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readText } from './files.ts'

/**
 * The `cpu` controller of cgroup v1, for machines whose cgroup v2 does not have it
 * (`Documentation/scheduler/sched-bwc.rst` of Linux). Each task that is bound gets a group.
 */
export interface CpuQuota {
  /** Makes the group of a task that gets so many thousandths of a core at most. */
  create(name: string, cpuMillis: number): QuotaGroup
  /** Removes groups that an older session left; their processes have ended. */
  clear(): void
  /** Removes the node's own group: no task is left. */
  close(): void
}

/** Group of one task. */
export interface QuotaGroup {
  /** Moves a process into it. @throws the system's error */
  add(pid: number): void
  /** Once its processes have ended. */
  remove(): void
}

const PERIOD_US = 100_000

function ownGroup(): string | undefined {
  const mounts = readText('/proc/self/mounts')?.split('\n') ?? []
  const mount = mounts
    .map((line) => line.split(' '))
    .find(([, , type, options]) => type === 'cgroup' && options?.split(',').includes('cpu'))?.[1]
  const lines = readText('/proc/self/cgroup')?.split('\n') ?? []
  const own = lines
    .map((line) => line.split(':'))
    .find(([, controllers]) => controllers?.split(',').includes('cpu'))?.[2]
  return mount === undefined || own === undefined ? undefined : join(mount, own)
}

function removeGroup(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // Still has dying processes: the next session clears it.
  }
}

/** Undefined where this process may not use it. @param name folder of this node */
export function openCpuQuota(name: string): CpuQuota | undefined {
  const own = ownGroup()
  if (own === undefined) return undefined
  const root = join(own, name)
  try {
    mkdirSync(root, { recursive: true })
    writeFileSync(join(root, 'cpu.cfs_period_us'), String(PERIOD_US))
  } catch {
    return undefined
  }
  return {
    create(task, cpuMillis) {
      const path = join(root, task)
      mkdirSync(path, { recursive: true })
      writeFileSync(join(path, 'cpu.cfs_period_us'), String(PERIOD_US))
      writeFileSync(join(path, 'cpu.cfs_quota_us'), String((cpuMillis * PERIOD_US) / 1_000))
      return {
        add: (pid) => writeFileSync(join(path, 'cgroup.procs'), String(pid)),
        remove: () => removeGroup(path),
      }
    },
    clear() {
      for (const entry of readdirSync(root, { withFileTypes: true })) {
        if (entry.isDirectory()) removeGroup(join(root, entry.name))
      }
    },
    close: () => removeGroup(root),
  }
}
