import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'
import { Scale_Unit, ServiceUpdate_State } from '@serverless-ai/contracts/schedule/v1/schedule'
import { plain } from './text.ts'

const WORDS: ReadonlyMap<number, string> = new Map(
  Object.entries(Job_State).map(([name, state]) => [
    state,
    name.charAt(0) + name.slice(1).toLowerCase(),
  ]),
)

/** `Running` */
export const stateWord = (state: Job_State): string => WORDS.get(state) ?? `state ${state}`

/** `2/3 replicas ready (0-4)`; empty for a job without a scale. */
export function scaleText({ scale }: Pick<Job, 'scale'>): string {
  if (scale === undefined) return ''
  const { unit, min, max, wanted, granted, ready, draining } = scale
  const range = `(${min}-${max})`
  if (unit === Scale_Unit.TASKS) return `${granted}/${wanted} tasks ${range}`
  const leaving = draining === 0 ? '' : `, ${draining} draining`
  return `${ready}/${wanted} replicas ready ${range}${leaving}`
}

/** `rolling, 1 new ready, 2 old left`; empty for a job that was never updated. */
export function updateText({ update }: Pick<Job, 'update'>): string {
  if (update === undefined) return ''
  const { state, updated, outdated, cause } = update
  if (state === ServiceUpdate_State.DONE) return 'done'
  const counts = `${updated} new ready, ${outdated} old left`
  if (state === ServiceUpdate_State.ROLLING) return `rolling, ${counts}`
  return `UPDATE_STALLED, ${counts}: ${plain(cause)}`
}

/** `2/4 devices`-like: tasks and devices of a job; emulated ones are called so. */
export function shape(job: Job): string {
  const each = job.kind === 'Inference' ? ' each' : ''
  const devices = job.tasks * job.devicesPerTask
  const what = job.emulatedDevices ? 'emulated device' : 'device'
  return `${job.tasks}×${job.devicesPerTask} ${what}${devices === 1 ? '' : 's'}${each}`
}

/** `step 40/200, loss 0.31`, empty when nothing was reported. */
export function progressText({ progress }: Job): string {
  if (progress === undefined) return ''
  const { step, totalSteps, loss } = progress
  const of = totalSteps === 0n ? `step ${step}` : `step ${step}/${totalSteps}`
  return Number.isFinite(loss) ? `${of}, loss ${loss.toPrecision(3)}` : of
}
