import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { unlinkIfThere } from '../../adapters/os/files.ts'
import { isReachable, lookupCommand } from '../../adapters/os/lookup.ts'

/** Where the processes of tasks live. */
export interface WorkRoot {
  /** Task directories. */
  readonly workDir: string
  /** Checkpoints, shared by the nodes of this machine. */
  readonly checkpointDir: string
  /** Directory with a `node` that tasks may execute. */
  readonly nodeBinDir: string
  /** One line for people when something is not where it is expected; else empty. */
  readonly notice: string
}

/** A uid that owns nothing: stands for any tenant when a path is looked at. */
const SOME_TENANT = 2 ** 31 - 2

/** A directory that everybody may pass through and only its owner may list. */
function makePassable(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o711 })
  const stats = lstatSync(path)
  if (!stats.isDirectory() || stats.uid !== process.getuid?.()) {
    throw new Error(`${path} is there and belongs to somebody else; remove it or set TMPDIR`)
  }
  chmodSync(path, 0o711)
}

function canExecute(file: string): boolean {
  const options = { command: file, path: '', cwd: '/', uid: SOME_TENANT }
  return lookupCommand(options).ok
}

/** Puts the running Node where tasks can reach it. */
function provideNode(root: string): string {
  const bin = join(root, 'bin')
  makePassable(bin)
  const copy = join(bin, 'node')
  const own = statSync(process.execPath)
  const there = statSync(copy, { throwIfNoEntry: false })
  if (there !== undefined && there.size === own.size && there.mtimeMs >= own.mtimeMs) return bin
  const temporary = `${copy}.${process.pid}`
  unlinkIfThere(temporary)
  try {
    linkSync(process.execPath, temporary)
  } catch {
    // Another file system.
    copyFileSync(process.execPath, temporary)
    chmodSync(temporary, 0o755)
  }
  renameSync(temporary, copy)
  return bin
}

/**
 * Chooses where tasks work. Where tasks run as other users, every directory above must let them
 * through; when the data directory is out of their reach (a home directory, as a rule) it is a
 * directory of the temporary files, and the running Node is put there too.
 *
 * @param dataDir absolute path of the platform's data directory
 */
export function resolveWorkRoot(dataDir: string): WorkRoot {
  const ownWork = join(dataDir, 'work')
  const nodeFile = process.execPath
  if (process.getuid?.() !== 0) {
    mkdirSync(ownWork, { recursive: true })
    accessSync(ownWork, constants.W_OK)
    const checkpointDir = join(ownWork, 'checkpoints')
    return { workDir: ownWork, checkpointDir, nodeBinDir: dirname(nodeFile), notice: '' }
  }
  makePassable(ownWork)
  const reachable = isReachable(join(ownWork, '.'), SOME_TENANT) && passes(ownWork)
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 12)
  const elsewhere = join(tmpdir(), `serverless-ai-${hash}`)
  const nodeReachable = basename(nodeFile) === 'node' && canExecute(nodeFile)
  if (!reachable || !nodeReachable) makePassable(elsewhere)
  const workDir = reachable ? ownWork : elsewhere
  const notices = [
    reachable ? '' : `Users' processes cannot reach ${dataDir}: they work in ${elsewhere}.`,
    nodeReachable ? '' : `Users' processes cannot reach this Node: a copy is in ${elsewhere}/bin.`,
  ]
  return {
    workDir,
    checkpointDir: join(workDir, 'checkpoints'),
    nodeBinDir: nodeReachable ? dirname(nodeFile) : provideNode(elsewhere),
    notice: notices.filter((notice) => notice !== '').join(' '),
  }
}

/** The directory itself lets other users through. */
function passes(path: string): boolean {
  return (statSync(path).mode & 1) !== 0
}
