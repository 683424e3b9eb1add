import type { Json } from '@serverless-ai/kernel'
import type {
  ActionScope,
  AutoscalerState,
  Holding,
  NodeView,
  ObjectiveView,
  Target,
} from './model.ts'

type StateJson = Omit<
  AutoscalerState,
  'targets' | 'nodes' | 'holdings' | 'queues' | 'jobQueues' | 'waiting' | 'objectives' | 'actions'
> & {
  targets: Target[]
  nodes: [string, NodeView][]
  holdings: [string, Holding][]
  queues: [string, number][]
  jobQueues: [string, string][]
  waiting: string[]
  objectives: [string, ObjectiveView][]
  /** Absent = none: states of before there were any are as they were. */
  actions?: [string, ActionScope][]
}

/** Without what is undefined: JSON has no such thing. */
const plain = (value: object): Json => JSON.parse(JSON.stringify(value))

/** State as plain JSON: the same state gives the same JSON. */
export function toJson(state: AutoscalerState): Json {
  const { actions, ...rest } = state
  const json: StateJson = {
    ...rest,
    targets: [...state.targets.values()],
    nodes: [...state.nodes],
    holdings: [...state.holdings],
    queues: [...state.queues],
    jobQueues: [...state.jobQueues],
    waiting: [...state.waiting],
    objectives: [...state.objectives],
    ...(actions.size === 0 ? {} : { actions: [...actions] }),
  }
  return plain(json)
}

function targetFromJson(json: Target): Target {
  const { scale, service, run, pending, blocked, forecast, urgent, resizing } = json
  // Fields that were undefined are there again, so that both states have the same shape.
  const optional = { scale, service, run, pending, blocked, forecast, urgent, resizing }
  return { ...json, ...optional }
}

/** Back again. */
export function fromJson(json: Json): AutoscalerState {
  const state: StateJson = JSON.parse(JSON.stringify(json))
  return {
    ...state,
    targets: new Map(state.targets.map((target) => [target.jobId, targetFromJson(target)])),
    ended: state.ended.map(targetFromJson),
    nodes: new Map(state.nodes),
    holdings: new Map(state.holdings),
    queues: new Map(state.queues),
    jobQueues: new Map(state.jobQueues),
    waiting: new Set(state.waiting),
    objectives: new Map(state.objectives),
    actions: new Map(state.actions),
  }
}
