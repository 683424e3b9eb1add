import { type Job, Job_State } from '@serverless-ai/contracts/job/v1/job'

const WORDS: ReadonlyMap<number, string> = new Map(
  Object.entries(Job_State).map(([name, state]) => [
    state,
    name.charAt(0) + name.slice(1).toLowerCase(),
  ]),
)

/** `Running` */
export const stateWord = (state: Job_State): string => WORDS.get(state) ?? `state ${state}`

/** `2/4 devices`-like: tasks and devices of a job; emulated ones are called so. */
export function shape(job: Job): string {
  const devices = job.tasks * job.devicesPerTask
  const what = job.emulatedDevices ? 'emulated device' : 'device'
  return `${job.tasks}×${job.devicesPerTask} ${what}${devices === 1 ? '' : 's'}`
}

/** `step 40/200, loss 0.31`, empty when nothing was reported. */
export function progressText({ progress }: Job): string {
  if (progress === undefined) return ''
  const { step, totalSteps, loss } = progress
  const of = totalSteps === 0n ? `step ${step}` : `step ${step}/${totalSteps}`
  return Number.isFinite(loss) ? `${of}, loss ${loss.toPrecision(3)}` : of
}
