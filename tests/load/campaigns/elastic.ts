import {
  type Course,
  DEVICE_CPU_MILLIS,
  DEVICES,
  type Goodput,
  OBJECTIVE_MS,
  runSplit,
  type Split,
  secondsOf,
} from '../serving/elastic.ts'
import type { Campaign, CampaignInit, Case, Facts } from './campaign.ts'

const FULL: Course = { calmSeconds: 30, floodSeconds: 30, floods: 2 }
const SMALL: Course = { calmSeconds: 8, floodSeconds: 20, floods: 1 }
const REPEATS = 3

const STATIC: readonly Split[] = Array.from({ length: DEVICES + 1 }, (_, train) => train)
const splitsOf = ({ slice }: CampaignInit): readonly Split[] =>
  slice ? ['elastic'] : ['elastic', ...STATIC]
const courseOf = ({ slice }: CampaignInit): Course => (slice ? SMALL : FULL)
const repeatsOf = ({ count, slice }: CampaignInit): number => count ?? (slice ? 1 : REPEATS)

/** What has to hold on any machine: training gives way, comes back, and requests are served. */
function checked(found: Goodput, say: (line: string) => void): Facts {
  say(JSON.stringify(found))
  if (found.split !== 'elastic') return { ...found }
  if (found.changes < 2) throw new Error('the training did not give way and come back')
  if (found.within === 0) throw new Error('no request was answered within the objective')
  return { ...found }
}

/**
 * Training and serving on the same devices under floods: the autoscaler beside every fixed
 * division. No step of the training may be lost or done twice.
 */
export const elastic: Campaign = {
  name: 'elastic',
  about: `COUNT (default ${REPEATS}) times floods beside a training, elastic and every fixed split`,
  settings: (init) => ({
    devices: DEVICES,
    deviceCpuMillis: DEVICE_CPU_MILLIS,
    objectiveMs: OBJECTIVE_MS,
    course: courseOf(init),
    secondsEach: secondsOf(courseOf(init)),
    repeats: repeatsOf(init),
  }),
  cases(init) {
    const splits = splitsOf(init)
    const course = courseOf(init)
    const all = repeatsOf(init)
    return Array.from({ length: all }, (_, index) =>
      splits.map((split, at): Case => {
        const seed = init.seed + index
        const only = index * splits.length + at + 1
        return {
          name: `${index + 1}: ${split === 'elastic' ? split : `${split} train`}`,
          repro: `npm run campaign -- elastic --seed ${init.seed} --count ${all} --only ${only}`,
          run: async (say) => checked(await runSplit({ split, course, seed }), say),
        }
      }),
    ).flat()
  },
}
