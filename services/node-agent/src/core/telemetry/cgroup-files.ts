import { countOf, numberOf, type TaskReading } from './readings.ts'

/**
 * Files of control groups. Formats: `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/` of
 * the kernel.
 */

const BYTES_PER_MIB = 1024 * 1024

const mib = (bytes: number | undefined): number | undefined =>
  bytes === undefined ? undefined : Math.floor(bytes / BYTES_PER_MIB)

/** A file with one number; `max` and the like are not known. */
const whole = (text: string | undefined): number | undefined => countOf(numberOf(text))

/** Value of a line `name 123`. */
function line(text: string | undefined, name: string): number | undefined {
  return whole(new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1])
}

/** Without caches of files that can be reclaimed, MiB. */
function inUse(current: number | undefined, inactive: number | undefined): number | undefined {
  if (current === undefined || inactive === undefined) return undefined
  return mib(Math.max(0, current - inactive))
}

/** CPU time of a group of version 2, from `cpu.stat`, microseconds. */
export const parseCpuStat = (text: string): number | undefined => line(text, 'usage_usec')

/** Files of a group of version 2; undefined = it is not there (its controller is not on). */
export interface GroupFilesV2 {
  readonly 'cpu.stat'?: string | undefined
  readonly 'memory.current'?: string | undefined
  readonly 'memory.stat'?: string | undefined
  readonly 'memory.peak'?: string | undefined
  readonly 'io.stat'?: string | undefined
  readonly 'pids.current'?: string | undefined
}

/** Bytes of all devices in `io.stat`; an empty file is no disk touched yet. */
function ioOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const found = [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, 'g'))]
  return countOf(found.reduce((sum, [, bytes]) => sum + Number(bytes), 0))
}

/** What a group of version 2 says of the task that it holds. */
export function readingOfV2(files: GroupFilesV2): TaskReading {
  return {
    source: 'cgroup-v2',
    cpuUs: line(files['cpu.stat'], 'usage_usec'),
    memoryUsedMib: inUse(
      whole(files['memory.current']),
      line(files['memory.stat'], 'inactive_file'),
    ),
    memoryPeakMib: mib(whole(files['memory.peak'])),
    readBytes: ioOf(files['io.stat'], 'rbytes'),
    writtenBytes: ioOf(files['io.stat'], 'wbytes'),
    threads: whole(files['pids.current']),
  }
}

/** Files of the groups of version 1, each of its own hierarchy. */
export interface GroupFilesV1 {
  readonly 'cpuacct.usage'?: string | undefined
  readonly 'memory.usage_in_bytes'?: string | undefined
  readonly 'memory.stat'?: string | undefined
  readonly 'memory.max_usage_in_bytes'?: string | undefined
  readonly 'blkio.throttle.io_service_bytes'?: string | undefined
  readonly 'pids.current'?: string | undefined
}

/** CPU time of a group of version 1, from `cpuacct.usage` (nanoseconds), microseconds. */
export function parseCpuacct(text: string): number | undefined {
  const nanos = numberOf(text)
  return nanos === undefined ? undefined : countOf(nanos / 1000)
}

function blkioOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined
  const found = [...text.matchAll(new RegExp(`^\\d+:\\d+ ${name} (\\d+)$`, 'gm'))]
  return countOf(found.reduce((sum, [, bytes]) => sum + Number(bytes), 0))
}

/** What the groups of version 1 say of the task that they hold. */
export function readingOfV1(files: GroupFilesV1): TaskReading {
  const usage = files['cpuacct.usage']
  const memory = whole(files['memory.usage_in_bytes'])
  const blkio = files['blkio.throttle.io_service_bytes']
  return {
    source: 'cgroup-v1',
    cpuUs: usage === undefined ? undefined : parseCpuacct(usage),
    memoryUsedMib: inUse(memory, line(files['memory.stat'], 'total_inactive_file')),
    memoryPeakMib: mib(whole(files['memory.max_usage_in_bytes'])),
    readBytes: blkioOf(blkio, 'Read'),
    writtenBytes: blkioOf(blkio, 'Write'),
    threads: whole(files['pids.current']),
  }
}

/** `/proc/PID/cgroup`: controller to path; the empty name is version 2. */
export function parsePidCgroup(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>()
  for (const row of text.split('\n')) {
    const [, , controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(row) ?? []
    if (controllers === undefined || path === undefined) continue
    for (const controller of controllers.split(',')) groups.set(controller, path)
  }
  return groups
}

/** Where a hierarchy is mounted. */
export interface GroupMount {
  /** Path inside the hierarchy that is mounted. */
  readonly root: string
  readonly directory: string
  /** Names of version 1; the empty name alone is version 2. */
  readonly controllers: readonly string[]
}

/** Hierarchies in `/proc/self/mountinfo`. */
export function parseGroupMounts(text: string): readonly GroupMount[] {
  return text.split('\n').flatMap((row): GroupMount[] => {
    const [before = '', after = ''] = row.split(' - ')
    const [, , , root, directory] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    if (root === undefined || directory === undefined) return []
    if (type === 'cgroup2') return [{ root, directory, controllers: [''] }]
    return type === 'cgroup' ? [{ root, directory, controllers: options.split(',') }] : []
  })
}

/** Directory of a group; undefined when its hierarchy, or that part of it, is not mounted. */
export function groupDirectory(
  mounts: readonly GroupMount[],
  controller: string,
  path: string,
): string | undefined {
  for (const { root, directory, controllers } of mounts) {
    if (!controllers.includes(controller)) continue
    if (root === '/') return path === '/' ? directory : `${directory}${path}`
    if (path === root) return directory
    if (path.startsWith(`${root}/`)) return `${directory}${path.slice(root.length)}`
  }
  return undefined
}
