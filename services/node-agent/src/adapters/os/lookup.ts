import { accessSync, constants, realpathSync, type Stats, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'

/** Who wants to reach a file; undefined = this process itself. */
export type Uid = number | undefined

function stat(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

/** Permission bits a uid has by mode (its group is its own uid; access lists are not looked at). */
function bitsFor(stats: Stats, uid: number): number {
  if (stats.uid === uid) return (stats.mode >> 6) & 7
  return stats.gid === uid ? (stats.mode >> 3) & 7 : stats.mode & 7
}

/** True when the uid may pass through every directory above the path and above its target. */
export function isReachable(path: string, uid: Uid): boolean {
  if (uid === undefined) return true
  try {
    const target = realpathSync(path)
    return isPassable(path, uid) && (target === resolve(path) || isPassable(target, uid))
  } catch {
    return false
  }
}

function isPassable(path: string, uid: number): boolean {
  for (let at = dirname(resolve(path)); ; at = dirname(at)) {
    const stats = stat(at)
    if (stats === undefined || (bitsFor(stats, uid) & 1) === 0) return false
    if (at === dirname(at)) return true
  }
}

function isExecutable(path: string, uid: Uid): boolean {
  const stats = stat(path)
  if (stats?.isFile() !== true) return false
  if (uid !== undefined) return (bitsFor(stats, uid) & 1) !== 0 && isReachable(path, uid)
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The program of a command, or why there is none: one line for people. */
export type Found =
  | { readonly ok: true; readonly path: string }
  | { readonly ok: false; readonly why: string }

/** Finds the program of a command as the task's user would. */
export function lookupCommand(options: {
  readonly command: string
  readonly path: string
  readonly cwd: string
  readonly uid: Uid
}): Found {
  const { command, path, cwd, uid } = options
  if (command === '') return { ok: false, why: 'the command is empty' }
  if (command.includes('/')) {
    const file = isAbsolute(command) ? command : join(cwd, command)
    if (isExecutable(file, uid)) return { ok: true, path: file }
    const why = stat(file) === undefined ? 'does not exist' : 'is not executable for the task'
    return { ok: false, why: `command ${command} ${why} (looked at ${file})` }
  }
  const files = path.split(':').map((dir) => join(isAbsolute(dir) ? dir : join(cwd, dir), command))
  const found = files.find((file) => isExecutable(file, uid))
  if (found !== undefined) return { ok: true, path: found }
  const barred = files.find((file) => stat(file)?.isFile() === true)
  const hint =
    barred === undefined ? '' : `; ${barred} exists, but the task's user may not execute it`
  return { ok: false, why: `command ${command} was not found; PATH is ${path}${hint}` }
}
