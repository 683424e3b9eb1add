import type { GangPlaced } from './messages.ts'
import type { Plan } from './placement.ts'
import { gangOf, type Job, type SchedulerState } from './state.ts'

/** The event that places a job by a plan. */
export function placedEvent(state: SchedulerState, job: Job, plan: Plan): GangPlaced {
  const { fleet } = state
  const { devices } = job.spec.gang.perTask
  let from = 0
  const nodeEmulated = plan.nodes.map((node, i) => {
    const until = from + plan.tasksOnNode[i]! * devices
    const used = plan.deviceIndexes.slice(from, until)
    from = until
    return used.some((device) => fleet.facts[node]!.devices[device]!.emulated)
  })
  return {
    type: 'GangPlaced',
    jobId: job.spec.jobId,
    gang: gangOf(job),
    generation: job.generation + 1,
    nodes: plan.nodes.map((node) => fleet.ids[node]!),
    tasksOnNode: plan.tasksOnNode,
    nodeEmulated,
    deviceIndexes: plan.deviceIndexes,
    rank0Ports: plan.ports,
    masterAddress: fleet.facts[plan.nodes[0]!]!.address,
    checkpointPath: job.checkpointPath,
    checkpointStep: job.checkpointStep,
    restartsCharged: job.restartsCharged,
    ...(job.revision === undefined ? {} : { revision: job.revision }),
  }
}
