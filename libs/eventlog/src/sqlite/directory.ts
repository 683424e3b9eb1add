import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statfsSync,
} from 'node:fs'
import { join } from 'node:path'
import { LogOpenError } from '../port.ts'

/** Files of a log directory. */
export interface LogFiles {
  readonly directory: string
  /** The database. */
  readonly main: string
  /** Its write-ahead log: holds committed records until they are moved to the database. */
  readonly wal: string
  /**
   * Held by an open exclusive transaction while the log is open; the operating system lets go of it
   * with the process.
   */
  readonly lock: string
  /**
   * Written once the database was made: from then on a missing database is damage, never a fresh
   * start.
   */
  readonly marker: string
}

/** Paths inside a log directory. */
export function logFiles(directory: string): LogFiles {
  const main = join(directory, 'log.db')
  return {
    directory,
    main,
    wal: `${main}-wal`,
    lock: join(directory, 'log.lock'),
    marker: join(directory, 'log.marker'),
  }
}

/**
 * File systems that live on another machine, by statfs magic (linux/magic.h and the file systems'
 * own headers). SQLite's locks and shared memory do not hold there.
 */
const NETWORK_MAGIC: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x786f4256, 'VirtualBox shared folder'],
])
const FUSE_MAGIC = 0x65735546
/** FUSE file systems that stay on this machine; every other one is taken for a network one. */
const LOCAL_FUSE = new Set(['fuse.fuse-overlayfs', 'fuse.lxcfs', 'fuseblk', 'fuse.encfs'])

/**
 * Type of the mount that holds `directory`, from the text of /proc/self/mountinfo: the longest
 * mount point above it, the last of equals.
 */
export function mountType(mountinfo: string, directory: string): string {
  let best = { point: '', type: '' }
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ')
    const point = (left.split(' ')[4] ?? '').replace(/\\040/g, ' ')
    if (point === '') continue
    const above = point === '/' || directory === point || directory.startsWith(`${point}/`)
    if (above && point.length >= best.point.length) best = { point, type: right.split(' ')[0]! }
  }
  return best.type
}

/**
 * Name of the network file system; undefined when it is a local one. `fuseType` is asked for on
 * FUSE only.
 */
export function networkFileSystem(magic: number, fuseType: () => string): string | undefined {
  const unsigned = magic >>> 0
  if (unsigned !== FUSE_MAGIC) return NETWORK_MAGIC.get(unsigned)
  const type = fuseType()
  return LOCAL_FUSE.has(type) ? undefined : `FUSE (${type || 'unknown'})`
}

const readMounts = (): string => {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return ''
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const notWritable = (directory: string, error: unknown): LogOpenError =>
  new LogOpenError(
    'NOT_WRITABLE',
    directory,
    `the log directory ${directory} cannot be written (${textOf(error)}); ` +
      'give this user write access to it, or name another data directory',
  )

/** Makes the directory and checks that a log can live in it. Throws {@link LogOpenError}. */
export function prepareDirectory(files: LogFiles): void {
  const { directory } = files
  try {
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw notWritable(directory, error)
  }
  const { type } = statfsSync(directory)
  const network = networkFileSystem(type, () => mountType(readMounts(), realpathSync(directory)))
  if (network !== undefined) {
    throw new LogOpenError(
      'NETWORK_FILE_SYSTEM',
      directory,
      `the log directory ${directory} is on a network file system (${network}), where two ` +
        'machines could write it at once; name a directory on a local disk',
    )
  }
}

/** How to go on after damage, for messages. */
export function mend(files: LogFiles): string {
  return (
    `restore ${files.directory} from a backup, or move it away to start with an empty log ` +
    '(everything that was in it is then gone for the platform)'
  )
}

/** An error about damage that names the file and the mend. */
export function damagedError(files: LogFiles, path: string, what: string): LogOpenError {
  return new LogOpenError(
    'DAMAGED',
    path,
    `the log file ${path} is damaged: ${what}; ${mend(files)}`,
  )
}

/**
 * True when there is a database, false when there has never been one. Throws {@link LogOpenError}
 * `DAMAGED` when there was one and it is gone.
 */
export function databaseExists(files: LogFiles): boolean {
  if (existsSync(files.main)) return true
  for (const witness of [files.marker, files.wal]) {
    if (existsSync(witness)) {
      throw damagedError(files, files.main, `it is missing although ${witness} is there`)
    }
  }
  return false
}
