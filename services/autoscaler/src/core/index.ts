export { type HpaConfig, type HpaMetric, type HpaState, hpaPolicy } from './hpa.ts'
export { type KpaConfig, type KpaState, kpaPolicy } from './kpa.ts'
export type {
  Arrivals,
  ExpectedLoad,
  Held,
  Limits,
  Maybe,
  Observation,
  Outcomes,
  Reading,
  Replicas,
} from './observation.ts'
export {
  type Decision,
  mostReplicas,
  type Note,
  type Rejected,
  type ScalingPolicy,
  type UsedInput,
  withinLimits,
} from './policy.ts'
export type { PredictiveConfig, WorkUnits } from './predictive/config.ts'
export { predictivePolicy } from './predictive/policy.ts'
export type { PredictiveState } from './predictive/state.ts'
export {
  type Grant,
  initialShare,
  type ServiceClaim,
  type ShareDecision,
  type ShareInput,
  type ShareState,
  shareDevices,
  type TrainingClaim,
} from './share.ts'
