import { installAutoscaler } from '@serverless-ai/autoscaler/install'
import { AgentServiceService, ConnectRequest } from '@serverless-ai/contracts/agent/v1/agent'
import { Job_State, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import {
  GangRequest,
  JobRequest,
  Queue,
  QueueServiceService,
  SchedulerServiceService,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import { installFaultTolerance } from '@serverless-ai/fault-tolerance/install'
import { SERVICE_NAMES } from '@serverless-ai/hosting/process'
import { memoryCell } from '@serverless-ai/hosting/testing'
import { uuidV7 } from '@serverless-ai/kernel'
import { type BlobStore, installMediator } from '@serverless-ai/mediator/install'
import { installPoolManager } from '@serverless-ai/pool-manager/install'
import { installResourceProfiler } from '@serverless-ai/resource-profiler/install'
import { installScheduler } from '@serverless-ai/scheduler/install'
import { installSlaMonitor } from '@serverless-ai/sla-monitor/install'
import { describe, expect, it } from 'vitest'

const ADDRESSES = ['127.0.0.1:1001', '127.0.0.1:1002']
const LIST = ADDRESSES.join(',')
const MANIFEST = `apiVersion: serverlessai.job/v1
kind: Job
metadata: {name: train}
spec: {queue: q, tasks: 1, command: ["true"]}
`

const noBlobs: BlobStore = {
  maxTotalMib: 0,
  has: async () => false,
  receive: () => Promise.reject(new Error('nothing is uploaded here')),
  open: async () => undefined,
  makeRoom: async () => true,
}

/** Two processes with all services each, over one log in memory. */
async function running() {
  const { ports, time, process: make, plain, following } = memoryCell({ seed: 11 })
  const processes = ADDRESSES.map((listen, index) => {
    const process = make({
      replica: `r${index + 1}`,
      replicas: ['r1', 'r2'],
      listen,
      peers: Object.fromEntries(SERVICE_NAMES.map((service) => [service, LIST])),
      authenticate: (token) => {
        const roles = [token.startsWith('node:') ? 'agent' : token]
        return { subject: token, tenant: '', roles }
      },
    })
    installMediator(process.kit, { store: noBlobs })
    installScheduler(process.kit)
    installPoolManager(process.kit, { leaseMs: 15_000 })
    installFaultTolerance(process.kit)
    installSlaMonitor(process.kit)
    installAutoscaler(process.kit, { stepMs: 1_000, giveBackAfterMs: 30_000 })
    installResourceProfiler(process.kit)
    return process
  })
  await time.run(Promise.all(processes.map((process) => process.start())))
  const leads = (index: number, service: string) =>
    processes[index]?.kit.host.get(service).status().role === 'Leading'
  const leaderOf = (service: string) => (leads(0, service) ? 0 : 1)
  const requestId = () => uuidV7(time.wallMs(), ports.randomness.bytes(10))
  return { time, processes, leads, leaderOf, plain, following, requestId }
}

const QUEUE = Queue.fromPartial({ name: 'q', tenant: 'team-a' })
const PER_TASK = { devices: 0, cpuMillis: 100n, memoryMib: 16n }
const GANG = GangRequest.fromPartial({ tasks: 1, perTask: PER_TASK })
const NEW_QUEUE_JOB: JobRequest = {
  ...JobRequest.fromPartial({ tenant: 'team-a', queue: 'new' }),
  gangs: [GANG],
}
const ADMIN = { token: 'admin' }

describe('replicas of the control plane', () => {
  it('what a follower cannot know it does not refuse: it names the leader', async () => {
    const { time, leaderOf, plain } = await running()
    const at = (service: string) => ({ address: ADDRESSES[1 - leaderOf(service)]!, token: 'admin' })
    const leader = (service: string) => ADDRESSES[leaderOf(service)]
    const refusal = (service: string) => ({
      reason: 'NOT_LEADING',
      metadata: { leaderAddress: leader(service) },
    })
    const jobs = plain.client(JobServiceService, at('mediator'))
    const cancelled = jobs.cancelJob({ requestId: '', jobId: 'j-0-new' })
    await expect(time.run(cancelled)).rejects.toMatchObject(refusal('mediator'))
    const target = { ...at('scheduler'), token: 'service' }
    const scheduler = plain.client(SchedulerServiceService, target)
    const validated = scheduler.validate({ job: NEW_QUEUE_JOB })
    await expect(time.run(validated)).rejects.toMatchObject(refusal('scheduler'))
    const pool = plain.client(PoolServiceService, at('pool-manager'))
    const logs = pool.readLogs({
      jobId: 'j-0-new',
      rank: undefined,
      generation: 0,
      tailLines: 0,
      follow: true,
    })
    await expect(time.run(logs[Symbol.asyncIterator]().next())).rejects.toMatchObject(
      refusal('pool-manager'),
    )
  })

  it('an agent is sent to the leader, and its stream ends when that is none any more', async () => {
    const { time, processes, leads, leaderOf, following } = await running()
    const pool = leaderOf('pool-manager')
    const target = { address: LIST, token: 'node:n1' }
    const agents = following.client(AgentServiceService, target)
    const hello = ConnectRequest.fromPartial({
      message: {
        $case: 'hello',
        value: { nodeId: 'n1', supervisorSession: 's1', protocol: 1, inventory: {} },
      },
    })
    async function* requests() {
      yield hello
      await new Promise(() => undefined)
    }
    const seen: string[] = []
    const stream = async () => {
      for await (const { message } of agents.connect(requests())) seen.push(message?.$case ?? '')
    }
    const first = stream().catch((error: unknown) => error)
    const nodes = following.client(PoolServiceService, { address: LIST, ...ADMIN })
    const page = { pageSize: 0, pageToken: '', minPosition: '' }
    while (seen.length < 2) await time.run(time.sleep(100))
    expect(seen).toEqual(['welcome', 'desired'])
    expect((await time.run(nodes.listNodes(page))).nodes).toHaveLength(1)
    await time.run(processes[pool]!.stop())
    expect(await time.run(first)).toMatchObject({ code: 'UNAVAILABLE' })
    const again = stream().catch((error: unknown) => error)
    while (seen.length < 4) await time.run(time.sleep(100))
    expect(leads(1 - pool, 'pool-manager')).toBe(true)
    await time.run(processes[1 - pool]!.stop())
    await time.run(again)
  })

  it('a job is taken, watched and cancelled over the loss of a process', async () => {
    const { time, processes, leaderOf, following, requestId } = await running()
    const client = { address: LIST, ...ADMIN }
    const jobs = following.client(JobServiceService, client)
    const queues = following.client(QueueServiceService, client)
    await time.run(queues.createQueue({ requestId: requestId(), queue: QUEUE }))
    const submit = {
      requestId: requestId(),
      manifest: MANIFEST,
      fileName: '',
      tenant: 'team-a',
      validateOnly: false,
    }
    const { job, position } = await time.run(jobs.submitJob(submit))
    await time.run(processes[leaderOf('mediator')]!.stop())
    const again = await time.run(jobs.submitJob(submit))
    expect(again.job?.jobId).toBe(job?.jobId)
    const jobId = job?.jobId ?? ''
    const found = await time.run(jobs.getJob({ jobId, minPosition: position }))
    expect(found.job?.jobId).toBe(jobId)
    await time.run(jobs.cancelJob({ requestId: requestId(), jobId }))
    const states: unknown[] = []
    const watch = async () => {
      for await (const { job: now } of jobs.watchJob({ jobId, resumeAfter: position })) {
        if (now !== undefined) states.push(now.state)
      }
    }
    await time.run(watch())
    expect(states.at(-1)).toBe(Job_State.CANCELLED)
  })
})
