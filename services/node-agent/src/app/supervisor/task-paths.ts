import { join } from 'node:path'
import type { NodeConfig } from '../../core/config.ts'
import type { TaskPaths } from '../../core/environment.ts'
import { type ExecutionKey, keyPath } from '../../core/keys.ts'

/** Directories of one execution and the user they belong to. */
export interface TaskDirectories {
  readonly paths: TaskPaths
  /** Undefined = the supervisor's own user. */
  readonly uid: number | undefined
}

/** Where the ranks and generations of a job keep their checkpoints. */
export function checkpointDirOf(
  config: Pick<NodeConfig, 'checkpointDir'>,
  { jobId }: ExecutionKey,
): string {
  return join(config.checkpointDir, jobId)
}

/** The report file in a task's directory. */
export function reportPathOf(taskDir: string): string {
  return join(taskDir, 'report.jsonl')
}

/** Directories of an execution: its own below `workDir`, and the job's checkpoint directory. */
export function taskPathsOf(
  config: Pick<NodeConfig, 'workDir' | 'checkpointDir'>,
  key: ExecutionKey,
): TaskPaths {
  const taskDir = join(config.workDir, 'tasks', keyPath(key))
  return {
    taskDir,
    checkpointDir: checkpointDirOf(config, key),
    report: reportPathOf(taskDir),
    notice: join(taskDir, 'notice.json'),
    tmp: join(taskDir, 'tmp'),
    cwd: join(taskDir, 'work'),
  }
}
