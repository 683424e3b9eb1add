/** Discrete-event serving of language models: replicas, a gate, traces, objectives. */
export { Fleet, type FleetInit } from './fleet.ts'
export {
  CHUNK_TOKENS,
  KV_TOKENS_MAX,
  Latency,
  type LatencyPoints,
  LLAMA2_70B_A100,
  LLAMA2_70B_H100,
  MAX_BATCH,
} from './latency.ts'
export { Ledger } from './ledger.ts'
export {
  type Attainment,
  type Clause,
  type Indicator,
  judge,
  type Slowdown,
  SPLITWISE_OBJECTIVE,
  slowdownOf,
} from './objective.ts'
export { Replica, type ReplicaPhase } from './replica.ts'
export {
  cutRequests,
  type Dice,
  type Request,
  type Requests,
  rescale,
  toRequests,
} from './requests.ts'
export {
  type ServeInit,
  type ServeResult,
  type ServingController,
  type ServingView,
  serve,
} from './serve.ts'
export { readAzureLlm, readFunctionCalls, readMooncake } from './traces.ts'
