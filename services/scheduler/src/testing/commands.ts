import { schedulerDecider } from '../core/decider.ts'
import type { RecoverGang, SchedulerCommand, SchedulerEvent } from '../core/messages.ts'
import type { GangSpec, JobSpec, NodeFacts, QueueSpec, Resources } from '../core/types.ts'

/** Short words for specs: everything has a default, specs name what matters. */

type NodeWords = Partial<Omit<NodeFacts, 'devices'>> & { devices?: number; model?: string }

/** A ready node with emulated devices. */
export function node(nodeId: string, words: NodeWords = {}): SchedulerCommand {
  const { devices = 2, model = 'emulated/gpu', ...facts } = words
  const device = { model, emulated: model.startsWith('emulated/'), healthy: true }
  const base: NodeFacts = {
    nodeId,
    state: 'Ready',
    cpuMillis: 16_000,
    memoryMib: 64_000,
    devices: Array.from({ length: devices }, () => device),
    address: `${nodeId}.local`,
    portFirst: 20_000,
    portLast: 20_009,
  }
  return { type: 'ObserveNode', node: { ...base, ...facts } }
}

/** A queue of tenant `team`. */
export function queue(name: string, words: Partial<QueueSpec> = {}): SchedulerCommand {
  const maximum: Resources = { devices: 0, cpuMillis: 0, memoryMib: 0 }
  const base = { name, tenant: 'team', weight: 1, priority: 0, maximum }
  return { type: 'CreateQueue', queue: { ...base, ...words } }
}

type JobWords = Partial<Omit<JobSpec, 'gang'>> &
  Partial<Omit<GangSpec, 'perTask'>> &
  Partial<Resources>

/** A job of one task with one device in queue `q`. */
export function job(jobId: string, words: JobWords = {}): JobSpec {
  const { tasks = 1, devices = 1, cpuMillis = 100, memoryMib = 100, ...rest } = words
  const { deviceModels = [], rank0Ports = 0, exclusive = false, ...own } = rest
  const perTask = { devices, cpuMillis, memoryMib }
  const base = { jobId, tenant: 'team', queue: 'q', name: jobId, priority: 0, submittedMs: 0 }
  const gang = { tasks, perTask, deviceModels, rank0Ports, exclusive }
  return { ...base, waitForCapacity: false, ...own, gang }
}

export function enqueue(jobId: string, words: JobWords = {}): SchedulerCommand {
  return { type: 'EnqueueJob', job: job(jobId, words) }
}

/** Ranks of a generation started, ended or freed. */
export function started(jobId: string, generation: number, ...ranks: number[]): SchedulerCommand {
  return { type: 'ObserveTasks', jobId, gang: 0, generation, started: ranks, ended: [] }
}
export function ended(jobId: string, generation: number, ...ranks: number[]): SchedulerCommand {
  return { type: 'ObserveTasks', jobId, gang: 0, generation, started: [], ended: ranks }
}
export function freed(jobId: string, generation: number, ...ranks: number[]): SchedulerCommand {
  return { type: 'ObserveFreed', jobId, gang: 0, generation, ranks }
}

export function recover(
  jobId: string,
  expectedGeneration: number,
  plan: Partial<RecoverGang['plan']> = {},
): RecoverGang {
  const base = {
    incidentId: `i-${jobId}-${expectedGeneration}`,
    checkpointPath: '',
    checkpointStep: 0,
    notBeforeMs: 0,
    avoidNodes: [],
    cause: 'node lost',
    restartsCharged: 1,
  }
  return { type: 'RecoverGang', jobId, gang: 0, expectedGeneration, plan: { ...base, ...plan } }
}

export function giveUp(jobId: string, expectedGeneration: number): SchedulerCommand {
  const why = { code: 'USER_ERROR', cause: 'exit code 1', incidentId: 'i-1' }
  return { type: 'GiveUpJob', jobId, gang: 0, expectedGeneration, ...why }
}

export function cancel(jobId: string): SchedulerCommand {
  return { type: 'CancelJob', jobId, by: 'token:team' }
}

/** Names of the jobs placed by these events, in order. */
export function placedJobs(events: readonly SchedulerEvent[]): string[] {
  return events.flatMap((event) => (event.type === 'GangPlaced' ? [event.jobId] : []))
}

export { schedulerDecider }
