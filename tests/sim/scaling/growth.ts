import {
  arrivals,
  between,
  firstFailure,
  last,
  late,
  MINUTE_MS,
  most,
  type Scenario,
} from './world.ts'

/** A clause that nothing can keep. */
const IMPOSSIBLE = [{ indicator: 'ttft', quantile: 0.95, limit: 0.01 }] as const

export const RUNAWAY: readonly Scenario[] = [
  {
    name: 'pending replicas are capacity',
    kind: 'runaway',
    source: 'vllm-project/aibrix#2670',
    about: 'start-ups of 3 minutes under a load for 4: 2, 4, 8, 16 …',
    startupMs: 180_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 15, perS: 15 }),
      minutes: 15,
      initial: 2,
    }),
    judge: (result) =>
      firstFailure([most(result) <= 12, `${most(result)} replicas for a load of 4 at most`]),
  },
  {
    name: 'an objective out of reach is not chased',
    kind: 'runaway',
    source: 'ai-dynamo/dynamo#6145 (review)',
    about: 'each request misses its limit on an idle replica, too; growth without bound',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 20, perS: 10 }),
      minutes: 20,
      initial: 3,
      objective: IMPOSSIBLE,
    }),
    judge: (result) =>
      firstFailure(
        [most(result) <= 12, `${most(result)} replicas for a load of 3`],
        [last(result) <= 6, `still ${last(result)} at the end`],
      ),
  },
  {
    name: 'no more replicas than devices',
    kind: 'runaway',
    source: 'kserve/kserve#871',
    about: 'a flood on a budget for 2: 50 pods were made',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 5, perS: 60 }),
      minutes: 5,
      limits: { budget: 2 },
    }),
    judge: (result) => firstFailure([most(result) <= 2, `${most(result)} replicas on 2`]),
  },
  {
    name: 'a batch of events does not take the cluster',
    kind: 'runaway',
    source: 'knative/serving#13284',
    about: '1,500 requests within 10 s, start-ups of 25 s; panic mode knows nothing of these',
    startupMs: 25_000,
    world: () => ({
      requests: arrivals(
        { fromMin: 0, toMin: 5, perS: 1 },
        { fromMin: 5, toMin: 5 + 1 / 6, perS: 150 },
        { fromMin: 5 + 1 / 6, toMin: 10, perS: 1 },
      ),
      minutes: 10,
    }),
    // 1,500 requests are five replica-minutes.
    judge: (result) =>
      firstFailure(
        [most(result) <= 60, `${most(result)} replicas for five minutes of work of one`],
        [late(result, 5, 10, 240_000) === 0, 'some waited for more than 4 minutes'],
      ),
  },
]

export const DEAF: readonly Scenario[] = [
  {
    name: 'a load of long prompts is a load',
    kind: 'deaf',
    source: 'llm-d/llm-d-autoscaling#1213',
    about: '20 requests a second of 2,000 prompt tokens and 8 output tokens: prefill never scales',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals(
        { fromMin: 0, toMin: 5, perS: 1, inputTokens: 2_000, outputTokens: 8 },
        { fromMin: 5, toMin: 12, perS: 20, inputTokens: 2_000, outputTokens: 8 },
      ),
      minutes: 12,
    }),
    judge: (result) =>
      firstFailure(
        [most(result, 5, 7) >= 4, `only ${most(result, 5, 7)} two minutes later`],
        [late(result, 9, 12, 2_000) <= 36, `${late(result, 9, 12, 2_000)} late after 4 minutes`],
      ),
  },
  {
    name: 'overload is not idleness',
    kind: 'deaf',
    source: 'ai-dynamo/dynamo#8861',
    about: 'demand measured at the output: one replica completes no more than it can',
    startupMs: 60_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 5, perS: 2 }, { fromMin: 5, toMin: 12, perS: 40 }),
      minutes: 12,
      // A slow step of telemetry on the output side.
      distort: (input) => ({ ...input, outcomes: undefined }),
    }),
    judge: (result) =>
      firstFailure(
        [most(result, 5, 6) >= 7, `only ${most(result, 5, 6)} a minute later`],
        [late(result, 10, 12, 2_000) <= 48, `${late(result, 10, 12, 2_000)} late at the end`],
      ),
  },
  {
    name: 'what waits is part of the load',
    kind: 'deaf',
    source: 'ai-dynamo/dynamo#10528',
    about: 'a burst leaves a queue that arrivals no longer show',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals(
        { fromMin: 0, toMin: 5, perS: 3 },
        { fromMin: 5, toMin: 5.5, perS: 60 },
        { fromMin: 5.5, toMin: 10, perS: 3 },
      ),
      minutes: 10,
    }),
    judge: (result) => {
      const waiting = between(result, 7.5, 10).find(({ held }) => held > 0)
      return firstFailure(
        [waiting === undefined, `${waiting?.held ?? 0} still wait 2 minutes after the burst`],
        [late(result, 7.5, 10, 2_000) <= 5, 'late long after the burst'],
      )
    },
  },
]

export const STUCK_HIGH: readonly Scenario[] = [
  {
    name: 'after a burst comes down what went up',
    kind: 'stuck high',
    source: 'vllm-project/aibrix#593',
    about: 'a burst, then a tenth of it',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals(
        { fromMin: 0, toMin: 5, perS: 3 },
        { fromMin: 5, toMin: 8, perS: 40 },
        { fromMin: 8, toMin: 30, perS: 3 },
      ),
      minutes: 30,
    }),
    judge: (result) =>
      firstFailure([last(result) <= 5, `still ${last(result)} after 22 minutes, 1 would do`]),
  },
  {
    name: 'idle is idle, whatever a prompt would take',
    kind: 'stuck high',
    source: 'ai-dynamo/dynamo#11624',
    about: 'long prompts that miss the limit alone; then no traffic: two replicas were kept',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 8, perS: 1, inputTokens: 8_000 }),
      minutes: 25,
      initial: 2,
      objective: IMPOSSIBLE,
    }),
    judge: (result) => firstFailure([last(result) === 1, `${last(result)} for nothing`]),
  },
  {
    name: 'a gauge that jumps is no traffic',
    kind: 'stuck high',
    source: 'ray-project/ray#61551',
    about: 'all has drained, the gauge of ongoing requests goes up again and again',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 6, perS: 12 }),
      minutes: 25,
      initial: 3,
      distort: (input) => {
        const ghost = input.nowMs > 6.5 * MINUTE_MS && input.nowMs % 40_000 < 20_000
        return ghost ? { ...input, inFlight: { value: 30, ageMs: 0 } } : input
      },
    }),
    judge: (result) => firstFailure([most(result, 24) === 1, `${most(result, 24)} for a ghost`]),
  },
  {
    name: 'a service without traffic goes to zero',
    kind: 'stuck high',
    source: 'ray-project/ray#59076',
    about: 'minimum 0, not one request: one replica stayed for ever',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 14, toMin: 14.1, perS: 1 }),
      minutes: 12,
      limits: { floor: 0 },
    }),
    judge: (result) => firstFailure([last(result) === 0, `${last(result)} for nothing`]),
  },
  {
    name: 'an open connection is no request',
    kind: 'stuck high',
    source: 'ray-project/kuberay#4445',
    about: 'the ingress keeps one connection open and pins the node',
    startupMs: 30_000,
    world: () => ({
      requests: arrivals({ fromMin: 0, toMin: 3, perS: 2 }),
      minutes: 25,
      limits: { floor: 0 },
      distort: (input) => ({
        ...input,
        inFlight: { value: Math.max(1, input.inFlight?.value ?? 0), ageMs: 0 },
      }),
    }),
    judge: (result) => firstFailure([last(result) === 0, `${last(result)} for a connection`]),
  },
]
