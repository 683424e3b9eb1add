import { resolve } from 'node:path'
import type { PlatformClient } from '@serverless-ai/client'
import type { Job } from '@serverless-ai/contracts/job/v1/job'
import type { Globals } from '../context.ts'
import { CliError } from '../exit.ts'
import { updateText } from '../output/states.ts'
import { readDescription, withWorkspace } from './description.ts'
import { answer, type CommandScope, jobJson } from './shared.ts'
import { uploadDirectory } from './workspace.ts'

/** Options of `sai job update`. */
export interface UpdateOptions extends Globals {
  readonly file?: string
  readonly workspace?: string
  readonly toRevision?: number
}

function updateAnswer(job: Job): string {
  const told = updateText(job)
  const since = job.update?.revision === job.revision ? told : ''
  return `${job.jobId} becomes revision ${job.revision}${since === '' ? '' : ` (${since})`}\n`
}

/** Gives a service another description, or a former one. */
export async function updateJob(
  platform: PlatformClient,
  jobId: string,
  { scope, options }: { readonly scope: CommandScope; readonly options: UpdateOptions },
): Promise<void> {
  const { io } = scope
  const { file, workspace, toRevision } = options
  if ((file === undefined) === (toRevision === undefined)) {
    throw new CliError('USAGE', 'name a description with --file, or --to-revision')
  }
  const update = async () => {
    if (file === undefined) return platform.jobs.update({ jobId, toRevision: toRevision ?? 0 })
    const { manifest, fileName } = await readDescription(file, io)
    if (workspace === undefined) return platform.jobs.update({ jobId, manifest, fileName })
    const name = await uploadDirectory({ platform, io, directory: resolve(io.cwd, workspace) })
    return platform.jobs.update({ jobId, fileName, manifest: withWorkspace(manifest, name) })
  }
  const { job } = await update()
  answer(io, options, { json: jobJson(job), text: () => updateAnswer(job) })
}
