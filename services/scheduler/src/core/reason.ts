import { type Capacity, fleetReason, neverFits } from './capacity.ts'
import { aboveMaximum, quotaReason } from './requests.ts'
import type { Holding, Job, SchedulerState } from './state.ts'
import { gangOf, holdingKey, nodeOfRank } from './state.ts'
import type { GangSpec, QueueSpec, Reason, Resources } from './types.ts'
import { NOT_YET, plus } from './types.ts'

/**
 * Why a gang waits that could not be placed, first match of the closed list: above the queue's
 * maximum, no node can ever hold it, the maximum is used up, else the fleet's own reason (undefined
 * here).
 */
export function explainWait(
  queue: QueueSpec,
  of: { gang: GangSpec; used: Resources; capacity: Capacity },
): Reason | undefined {
  const { gang, used, capacity } = of
  const { nodesTotal, nodesFiltered } = capacity
  const above = aboveMaximum(queue, gang)
  if (above !== undefined) return { ...above, nodesTotal, nodesFiltered }
  if (neverFits(capacity, gang)) return fleetReason(capacity, gang)
  const free = plus(queue.maximum, used, -1)
  const quota = quotaReason('QUOTA_WAIT', { queue, gang, free })
  return quota === undefined ? undefined : { ...quota, nodesTotal, nodesFiltered }
}

/**
 * An exclusive gang goes on only when each rank of its older generations is freed or its node is
 * lost; so does one that changes its size, because what it held is a part of what it gets.
 */
export function waitsForOlder(state: SchedulerState, job: Job): boolean {
  return dependsOnOlder(job) && olderRanks(state, job).still > 0
}

const dependsOnOlder = (job: Job): boolean => job.spec.gang.exclusive || job.resizing === true

/** The reason of a gang for which {@link waitsForOlder} holds. */
export function dependencyReason(state: SchedulerState, job: Job): Reason | undefined {
  if (!dependsOnOlder(job)) return undefined
  const { still, ranks, nodeId } = olderRanks(state, job)
  if (still === 0) return undefined
  return {
    ...NOT_YET,
    code: 'DEPENDENCY_WAIT',
    shortfalls: [
      {
        dimension: 'tasks',
        want: ranks,
        free: ranks - still,
        total: ranks,
        nodeId,
        perTask: false,
      },
    ],
    nodesTotal: state.fleet.size,
  }
}

function olderRanks(
  state: SchedulerState,
  job: Job,
): { still: number; ranks: number; nodeId: string } {
  let still = 0
  let ranks = 0
  let nodeId = ''
  for (let generation = 1; generation <= job.generation; generation++) {
    const holding = state.holdings.get(holdingKey(job.spec.jobId, gangOf(job), generation))
    if (holding === undefined) continue
    ranks += holding.freed.length
    for (const node of mayRun(state, holding)) {
      still++
      if (nodeId === '') nodeId = state.fleet.ids[node]!
    }
  }
  return { still, ranks, nodeId }
}

/** Nodes, one per rank, on which a rank may still run. */
function mayRun(state: SchedulerState, holding: Holding): number[] {
  const nodes: number[] = []
  holding.freed.forEach((freed, rank) => {
    const node = nodeOfRank(holding, rank)
    if (freed === 0 && state.fleet.stateOf(node) !== 'Lost') nodes.push(node)
  })
  return nodes
}

/** Equal in every number. */
export function sameReason(a: Reason, b: Reason): boolean {
  return (
    a.code === b.code &&
    a.nodesTotal === b.nodesTotal &&
    a.nodesFiltered === b.nodesFiltered &&
    a.untilMs === b.untilMs &&
    a.shortfalls.length === b.shortfalls.length &&
    a.shortfalls.every((shortfall, i) => {
      const other = b.shortfalls[i]!
      return (
        shortfall.dimension === other.dimension &&
        shortfall.want === other.want &&
        shortfall.free === other.free &&
        shortfall.total === other.total &&
        shortfall.nodeId === other.nodeId &&
        shortfall.perTask === other.perTask
      )
    })
  )
}
