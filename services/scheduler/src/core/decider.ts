import {
  accept,
  type DecideContext,
  type Decider,
  type Decision,
  unreachable,
} from '@serverless-ai/kernel'
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
import { resizeJob } from './resize.ts'
import { placementRound } from './round.ts'
import { endDrain, observeReadiness } from './services.ts'
import { initialState, type SchedulerState } from './state.ts'
import { endStartup, updateRound, updateService } from './updates.ts'

function decide(
  command: SchedulerCommand,
  state: SchedulerState,
  context: DecideContext,
): Decision<SchedulerEvent> {
  const { atMs } = context
  switch (command.type) {
    case 'CreateQueue':
      return createQueue(state, command.queue)
    case 'EnqueueJob':
      return enqueueJob(state, command.job, context)
    case 'CancelJob':
      return cancelJob(state, command.jobId, command.by)
    case 'RecoverGang':
      return recoverGang(state, command, atMs)
    case 'GiveUpJob':
      return giveUpJob(state, command)
    case 'EndBackoff':
      return endBackoff(state, command)
    case 'ContinueRound':
      return accept([])
    case 'ObserveNode':
      return observeNode(state, command.node)
    case 'ObserveNodeLost':
      return observeNodeLost(state, command.nodeId)
    case 'ObserveTasks':
      return observeTasks(state, command, atMs)
    case 'ObserveResult':
      return observeResult(state, command)
    case 'ObserveFreed':
      return observeFreed(state, command)
    case 'ResizeJob':
      return resizeJob(state, command, atMs)
    case 'UpdateService':
      return updateService(state, command, context)
    case 'EndStartup':
      return endStartup(state, command, atMs)
    case 'ObserveReadiness':
      return observeReadiness(state, command)
    case 'EndDrain':
      return endDrain(state, command)
    case 'ReplacePool':
      return replacePool(state, command, atMs)
    default:
      return unreachable(command)
  }
}

/** The scheduler's core. */
export const schedulerDecider: Decider<SchedulerState, SchedulerCommand, SchedulerEvent> = {
  initial: initialState,
  decide,
  evolve,
  // What an update takes and adds is placed by the round after it.
  afterBatch: (state, context) => updateRound(state, context) ?? placementRound(state, context),
  toJson,
  fromJson,
}
