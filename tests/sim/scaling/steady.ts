import { seededRandomness } from '@serverless-ai/kernel/testing'
import type { RigResult } from '../../load/baselines/rig.ts'
import {
  arrivals,
  between,
  changes,
  firstFailure,
  LIMITS,
  last,
  late,
  least,
  MINUTE_MS,
  most,
  requestsAt,
  type Scenario,
} from './world.ts'

/** Most changes that fall into one start-up. */
function changesPerStartup(result: RigResult, startupMs: number, fromMin: number): number {
  const at = changes(result, fromMin)
  return Math.max(
    0,
    ...at.map((from) => at.filter((to) => to >= from && to < from + startupMs).length),
  )
}

export const FLAPPING: readonly Scenario[] = [
  {
    name: 'the survivor has to bear it',
    kind: 'flapping',
    source: 'ai-dynamo/dynamo#9294',
    about: 'two replicas at two thirds each: one would not do, 2 ↔ 1 under constant load',
    startupMs: 60_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 30, perS: 8 }),
      minutes: 30,
      initial: 2,
    }),
    judge: (result) => {
      const count = changes(result, 15).length
      return firstFailure(
        [count <= 2, `${count} changes in 15 minutes of constant load`],
        [late(result, 15, 30, 2_000) <= 72, 'requests were late'],
      )
    },
  },
  {
    name: 'a shorter queue is no reason to leave',
    kind: 'flapping',
    source: 'ray-project/ray#18925',
    about: 'a queue grows, replicas come, its average is small, replicas go, and again',
    startupMs: 20_000,
    world: () => ({ requests: arrivals({ fromMin: 0, toMin: 25, perS: 20 }), minutes: 25 }),
    judge: (result) => {
      const count = changes(result, 10).length
      return firstFailure(
        [count <= 4, `${count} changes in 15 minutes of constant load`],
        [changesPerStartup(result, 20_000, 10) <= 1, 'more than one change in a start-up'],
      )
    },
  },
  {
    name: 'zero stays zero',
    kind: 'flapping',
    source: 'ray-project/ray#33416',
    about: 'no request for long, and a replica is removed and added for ever',
    startupMs: 20_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 3, perS: 4 }),
      minutes: 25,
      limits: { floor: 0 },
    }),
    judge: (result) =>
      firstFailure(
        [most(result, 12) === 0, `${most(result, 12)} after 9 minutes without a request`],
        [changes(result, 10).length <= 1, 'it changed on and on'],
      ),
  },
  {
    name: 'a gauge that never reaches zero',
    kind: 'flapping',
    source: 'ray-project/ray#38118',
    about: 'the gauge of queued requests stays at 42 when all is done',
    startupMs: 20_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 3, perS: 4 }),
      minutes: 25,
      limits: { floor: 0 },
      distort: (input) =>
        input.nowMs < 2 * MINUTE_MS
          ? input
          : { ...input, held: { value: { requests: 42, inputTokens: 21_000 }, ageMs: 0 } },
    }),
    judge: (result) =>
      firstFailure(
        [most(result, 20) === 0, `${most(result, 20)} for a gauge`],
        [changes(result, 10).length <= 2, `${changes(result, 10).length} changes for a gauge`],
      ),
  },
]

export const UNSAFE: readonly Scenario[] = [
  {
    name: 'an outage of metrics changes nothing',
    kind: 'unsafe',
    source: 'ai-dynamo/dynamo#14575',
    about: 'every metric is gone for five minutes; then they are there, stale and absurd',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 20, perS: 20 }),
      minutes: 20,
      initial: 6,
      limits: { floor: 3 },
      distort: (input) => {
        const minute = input.nowMs / MINUTE_MS
        if (minute < 8 || minute >= 15) return input
        const none = { arrivals: undefined, held: undefined, inFlight: undefined }
        const blind = { ...input, ...none, outcomes: undefined, replicas: undefined }
        if (minute < 13) return blind
        const zeros = { requests: 0, inputTokens: 0 }
        return {
          ...blind,
          arrivals: { value: minute < 14 ? zeros : { ...zeros, requests: -5 }, ageMs: 300_000 },
          held: { value: zeros, ageMs: -60_000 },
          inFlight: { value: Number.NaN, ageMs: 0 },
        }
      },
    }),
    judge: (result) => {
      const before = between(result, 7.9, 8).at(-1)!.decision.wanted
      const [low, high] = [least(result, 8, 15), most(result, 8, 15)]
      return firstFailure(
        [low >= 3, `${low} replicas, the floor is 3`],
        [low === before && high === before, `${before} became ${low} to ${high}`],
      )
    },
  },
  {
    name: 'cold starts teach nothing',
    kind: 'unsafe',
    source: 'ai-dynamo/dynamo#12430',
    about: 'a replica is slow for its first 20 s: its samples poison the capacity model',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals(
        ...Array.from({ length: 12 }, (_, index) => ({
          fromMin: index * 2.5,
          toMin: (index + 1) * 2.5,
          perS: index % 2 === 0 ? 6 : 16,
        })),
      ),
      minutes: 30,
      initial: 4,
      onTick: (fleet, nowMs) => {
        for (const replica of fleet.replicas) {
          replica.speed = replica.readyMs > 0 && nowMs - replica.readyMs < 20_000 ? 0.3 : 1
        }
      },
    }),
    judge: (result) =>
      firstFailure(
        [most(result, 20) <= 10, `${most(result, 20)} replicas for a load of 4`],
        [late(result, 20, 30, 2_000) <= 330, `${late(result, 20, 30, 2_000)} late of 6,600`],
      ),
  },
  {
    name: 'a smaller budget is kept at once',
    kind: 'unsafe',
    source: 'ai-dynamo/dynamo#12428',
    about: 'the budget goes from 8 to 3 under load: more than it were kept, and waited for',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 12, perS: 24 }),
      minutes: 12,
      initial: 6,
      limits: (nowMs) => ({ ...LIMITS, budget: nowMs < 6 * MINUTE_MS ? 8 : 3 }),
    }),
    judge: (result) =>
      firstFailure(
        [most(result, 0, 6) <= 8, `${most(result, 0, 6)} on a budget of 8`],
        [most(result, 6) <= 3, `${most(result, 6)} on a budget of 3`],
      ),
  },
  {
    name: 'a number that somebody else set is seen',
    kind: 'unsafe',
    source: 'ai-dynamo/dynamo#4420',
    about: 'a person sets 12 where 1 is enough: "already at desired count", for ever',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 30, perS: 3 }),
      minutes: 30,
      edit: (nowMs, target) => (nowMs === 10 * MINUTE_MS ? 12 : target),
    }),
    judge: (result) =>
      firstFailure([last(result) <= 4, `${last(result)} replicas after 20 minutes`]),
  },
]

const STARTUP_MS = 150_000

export const FROM_ZERO: readonly Scenario[] = [
  {
    name: 'what starts for a request is not taken away from it',
    kind: 'from zero',
    source: 'kserve/kserve#1247',
    about: 'the node takes 3 minutes to come, the idle time is one: deleted before ready',
    startupMs: 180_000,
    world: () => ({
      requests: requestsAt([120_000]),
      minutes: 10,
      initial: 0,
      limits: { floor: 0 },
    }),
    judge: (result) => {
      const held = result.moments.filter(({ held: waiting }) => waiting > 0)
      return firstFailure(
        [held.every(({ decision }) => decision.wanted >= 1), 'taken away while it was waited for'],
        [result.ledger.endMs[0]! < 120_000 + 190_000, 'never served'],
      )
    },
  },
  {
    name: 'a long request is not cut',
    kind: 'from zero',
    source: 'knative/serving#13208',
    about: 'one request of four minutes, nothing else: its replica went after one',
    startupMs: 20_000,
    world: () => ({
      requests: requestsAt([60_000], 8_000),
      minutes: 15,
      initial: 0,
      limits: { floor: 0 },
    }),
    judge: (result) => {
      const running = result.moments.filter(({ inFlight }) => inFlight > 0)
      return firstFailure(
        [running.length > 100, 'it did not run'],
        [running.every(({ decision }) => decision.wanted >= 1), 'its replica went while it ran'],
        [last(result) === 0, 'its replica stayed'],
      )
    },
  },
  {
    name: 'a request that comes as the last replica goes',
    kind: 'from zero',
    source: 'knative/serving#14202',
    about: 'gaps about as long as the idle time, metrics two seconds late: requests were lost',
    startupMs: 10_000,
    world: () => {
      const dice = seededRandomness(5)
      const times = [5_000]
      while (times.length < 30) times.push(times.at(-1)! + 55_000 + dice.int(40_000))
      let before: { requests: number; inputTokens: number } | undefined
      return {
        requests: requestsAt(times),
        minutes: 45,
        initial: 0,
        limits: { floor: 0 },
        distort: (input) => {
          const value = before ?? { requests: 0, inputTokens: 0 }
          before = input.arrivals?.value
          return { ...input, arrivals: { value, ageMs: 2_000 } }
        },
      }
    },
    judge: (result) =>
      firstFailure(
        [result.attainment.lost === 0, `${result.attainment.lost} lost`],
        [late(result, 0, 45, 14_000) === 0, 'one waited for more than a start-up'],
      ),
  },
  {
    name: 'two writers of one number',
    kind: 'from zero',
    source: 'volcano-sh/kthena#1019',
    about: 'another controller sets it to 1 every minute; nobody may be driven to change on and on',
    startupMs: STARTUP_MS,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 30, perS: 14 }),
      minutes: 30,
      initial: 4,
      edit: (nowMs, target) =>
        nowMs >= 8 * MINUTE_MS && nowMs < 18 * MINUTE_MS && nowMs % MINUTE_MS === 0 ? 1 : target,
    }),
    judge: (result) => {
      const count = changes(result, 8, 18).length
      return firstFailure(
        [count <= 10, `${count} changes of its own in 10 minutes`],
        [last(result) <= 8, `${last(result)} at the end, 3 are enough`],
        [late(result, 25, 30, 2_000) <= 42, `${late(result, 25, 30, 2_000)} late of 4,200`],
      )
    },
  },
]
