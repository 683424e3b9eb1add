import { accept, type Decider, type Decision, unreachable } from '@serverless-ai/kernel'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { SchedulerCommand, SchedulerEvent } from './messages.ts'
import {
  observeFreed,
  observeNode,
  observeNodeLost,
  observeResult,
  observeTasks,
  replacePool,
} from './observations.ts'
import {
  cancelJob,
  createQueue,
  endBackoff,
  enqueueJob,
  giveUpJob,
  recoverGang,
} from './requests.ts'
import { placementRound } from './round.ts'
import { initialState, type SchedulerState } from './state.ts'

function decide(
  command: SchedulerCommand,
  state: SchedulerState,
  atMs: number,
): Decision<SchedulerEvent> {
  switch (command.type) {
    case 'CreateQueue':
      return createQueue(state, command.queue)
    case 'EnqueueJob':
      return enqueueJob(state, command.job)
    case 'CancelJob':
      return cancelJob(state, command.jobId, command.by)
    case 'RecoverGang':
      return recoverGang(state, command, atMs)
    case 'GiveUpJob':
      return giveUpJob(state, command)
    case 'EndBackoff':
      return endBackoff(state, command.jobId, command.generation)
    case 'ContinueRound':
      return accept([])
    case 'ObserveNode':
      return observeNode(state, command.node)
    case 'ObserveNodeLost':
      return observeNodeLost(state, command.nodeId)
    case 'ObserveTasks':
      return observeTasks(state, command)
    case 'ObserveResult':
      return observeResult(state, command)
    case 'ObserveFreed':
      return observeFreed(state, command)
    case 'ReplacePool':
      return replacePool(state, command)
    default:
      return unreachable(command)
  }
}

/** The scheduler's core. */
export const schedulerDecider: Decider<SchedulerState, SchedulerCommand, SchedulerEvent> = {
  initial: initialState,
  decide: (command, state, context) => decide(command, state, context.atMs),
  evolve,
  afterBatch: placementRound,
  toJson,
  fromJson,
}
