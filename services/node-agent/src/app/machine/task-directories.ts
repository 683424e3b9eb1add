import { spawn } from 'node:child_process'
import { chownSync, lstatSync, mkdirSync, rmdirSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { NodeConfig } from '../../core/config.ts'
import { codeOf } from '../../core/errors.ts'
import type { ExecutionKey } from '../../core/keys.ts'
import { type TaskDirectories, taskPathsOf } from '../supervisor/task-paths.ts'

function makeOwned(path: string, uid: number | undefined): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 })
  try {
    mkdirSync(path, { mode: 0o700 })
    if (uid !== undefined) chownSync(path, uid, uid)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    const stats = lstatSync(path)
    // Made by another node at the same moment, not handed over yet: the owner is the same.
    if (uid !== undefined && stats.isDirectory() && stats.uid === 0) chownSync(path, uid, uid)
    else if (!stats.isDirectory() || (uid !== undefined && stats.uid !== uid)) {
      throw new Error(`${path} is there and belongs to somebody else`)
    }
  }
}

/**
 * Makes the directories of an execution: its own below `workDir`, mode 0700 of the tenant's uid,
 * and the job's checkpoint directory.
 *
 * @throws Error that says what could not be made.
 */
export function makeTaskDirectories(
  config: Pick<NodeConfig, 'workDir' | 'checkpointDir'>,
  key: ExecutionKey,
  uid: number | undefined,
): TaskDirectories {
  const paths = taskPathsOf(config, key)
  const { taskDir, checkpointDir } = paths
  for (const path of [taskDir, paths.tmp, paths.cwd, checkpointDir]) makeOwned(path, uid)
  return { paths, uid }
}

/**
 * Writes the file of notices beside what the task made itself: the directory is the task's, so a
 * link that it put there must not be followed.
 */
export async function writeTaskNotice(
  { paths, uid }: TaskDirectories,
  text: string,
): Promise<void> {
  const temporary = `${paths.notice}.${process.pid}.new`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o400)
  try {
    await file.writeFile(text)
    if (uid !== undefined) await file.chown(uid, uid)
  } finally {
    await file.close()
  }
  await rename(temporary, paths.notice)
}

/**
 * Removes a task's directory. Its content is removed as the task's user: whatever links it left
 * there lead to nothing that this user could not remove itself.
 */
export async function removeTaskDirectory(taskDir: string, uid: number | undefined): Promise<void> {
  const user = uid === undefined ? {} : { uid, gid: uid }
  await new Promise<void>((resolve) => {
    const child = spawn('/bin/rm', ['-rf', '--', taskDir], { stdio: 'ignore', ...user })
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  })
  for (const path of [taskDir, dirname(taskDir)]) {
    try {
      rmdirSync(path)
    } catch {
      // Removed already, or other tasks of the job are still there.
    }
  }
}
