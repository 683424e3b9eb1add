import {
  type Accepted,
  accept,
  type DecideContext,
  type Decider,
  type Decision,
  unreachable,
} from '@serverless-ai/kernel'
import {
  replaceContracts,
  replaceSchedule,
  takeContract,
  takeGrant,
  takeNotice,
  takeRelease,
} from './decide-gangs.ts'
import { disconnectNode, loseNode, registerNode } from './decide-nodes.ts'
import { assumeSessionEmpty, reportExecutions } from './decide-reports.ts'
import { evolve } from './evolve.ts'
import { fromJson, toJson } from './json.ts'
import type { PoolCommand, PoolEvent } from './messages.ts'
import {
  ENDED_EXECUTIONS_MAX,
  emptyState,
  type PoolState,
  SETTLED_GANGS_MAX,
  UNGRANTED_GANGS_MAX,
} from './state.ts'

function decide(
  command: PoolCommand,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  switch (command.type) {
    case 'RegisterNode':
      return registerNode(command, state)
    case 'ReportExecutions':
      return reportExecutions(command, state, context)
    case 'AssumeSessionEmpty':
      return assumeSessionEmpty(command, state, context)
    case 'DisconnectNode':
      return disconnectNode(command, state)
    case 'LoseNode':
      return loseNode(command, state, context)
    case 'TakeGrant':
      return takeGrant(command.grant, state, context)
    case 'TakeContract':
      return takeContract(command.contract, state, context)
    case 'TakeRelease':
      return takeRelease(command.release, state, context)
    case 'TakeNotice':
      return takeNotice(command, state, context)
    case 'ReplaceSchedule':
      return replaceSchedule(command, state, context)
    case 'ReplaceContracts':
      return replaceContracts(command, state, context)
    default:
      return unreachable(command)
  }
}

/** Forgets what is over and above the bounds; the newest finished gang always stays. */
function prune(state: PoolState): Accepted<PoolEvent> | undefined {
  const events: PoolEvent[] = []
  const forget = (key: string) => {
    const gang = state.gangs.get(key)
    if (gang !== undefined) events.push({ type: 'GangPruned', jobId: gang.jobId, gang: gang.gang })
  }
  let { settledExecutions } = state
  let settledGangs = state.settled.size
  for (const [key, executions] of state.settled) {
    const over = settledExecutions > ENDED_EXECUTIONS_MAX || settledGangs > SETTLED_GANGS_MAX
    if (!over || settledGangs === 1) break
    settledExecutions -= executions
    settledGangs -= 1
    forget(key)
  }
  let ungranted = state.ungranted.size
  for (const key of state.ungranted) {
    if (ungranted <= UNGRANTED_GANGS_MAX) break
    ungranted -= 1
    forget(key)
  }
  return events.length === 0 ? undefined : accept(events)
}

/** The core of the pool manager. */
export const poolDecider: Decider<PoolState, PoolCommand, PoolEvent> = {
  initial: emptyState,
  decide,
  evolve,
  afterBatch: prune,
  toJson,
  fromJson,
}
