import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@serverless-ai/client'
import {
  AdminServiceService,
  type PartitionStatus,
  type RaiseFeatureLevelRequest,
  type VoidRecordRequest,
} from '@serverless-ai/contracts/admin/v1/admin'
import { Reason } from '@serverless-ai/contracts/common/v1/common'
import {
  ExplainJobResponse,
  Job,
  JobServiceService,
  type ScaleJobRequest,
  type UpdateServiceRequest,
  WorkspaceServiceService,
} from '@serverless-ai/contracts/job/v1/job'
import { Node, Node_State, PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import {
  type Queue,
  QueueServiceService,
  QueueStatus,
} from '@serverless-ai/contracts/schedule/v1/schedule'
import { type Logger, RpcError, type TransportServer } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { memoryNetwork } from '@serverless-ai/rpc'
import { runCli } from '../cli.ts'

const quiet: Logger = { log: () => undefined, child: () => quiet }
/** An error as the platform sends it. */
export const refused = (
  code: RpcError['code'],
  reason: string,
  more: Pick<Partial<RpcError>, 'metadata' | 'violations'> = {},
) => new RpcError({ code, reason, message: `${reason}: told by the platform`, ...more })

/** A job from its JSON. */
export const job = (init: { [field: string]: unknown }): Job =>
  Job.fromJSON({ jobId: 'j-0-0123456789ab', name: 'train', queue: 'q', tasks: 2, ...init })

/** More than two wait for devices. */
const waitsFor = (wanted: number) => {
  const shortfalls = [{ dimension: 'devices', want: '1', free: '0', total: '2' }]
  const waiting = Reason.fromJSON({ code: 'CODE_CAPACITY_WAIT', shortfalls, nodesTotal: 1 })
  return { waiting: wanted > 2 ? waiting : undefined, position: 'scheduler:0:1:1' }
}

/** A platform that answers what a test says, and a CLI in front of it. */
export class Bench {
  jobs: Job[] = []
  /** What a watch tells, in order. */
  changes: Job[] = []
  queues = ['q']
  madeQueues: Queue[] = []
  submitError: RpcError | undefined
  manifests: string[] = []
  scales: ScaleJobRequest[] = []
  updates: UpdateServiceRequest[] = []
  partitions: PartitionStatus[] = []
  raises: RaiseFeatureLevelRequest[] = []
  raiseError: RpcError | undefined
  voids: VoidRecordRequest[] = []
  /** Adds more services, before it listens. */
  more: (server: TransportServer) => void = () => undefined
  logs: { rank: number; text: string; firstFailing?: boolean }[] = []
  /** Reads of logs that find none, at first. */
  logsLater = 0
  away = false
  /** How often a watch that has begun fails. */
  outages = 0
  watching: (() => void) | undefined
  out = ''
  err = ''
  stdin = ''
  readonly interrupt = new AbortController()
  readonly #network = memoryNetwork({ timers: systemTimers })
  #address = ''
  directory = ''

  #server() {
    return this.#network.server({
      clock: systemClock,
      timers: systemTimers,
      logger: quiet,
      authenticate: (token) => ({
        subject: token,
        tenant: token === 'admin' ? '' : token,
        roles: [token === 'admin' ? 'admin' : 'tenant'],
      }),
    })
  }

  async open(): Promise<void> {
    this.directory = await mkdtemp(join(tmpdir(), 'sai-cli-'))
    const server = this.#server()
    this.#addJobs(server)
    this.#addOthers(server)
    this.more(server)
    this.#address = await server.listen('127.0.0.1:0')
  }

  /** One more process, which only says its state: all addresses, as an option takes them. */
  async beside(answer: (limitMs: number | undefined) => Promise<never>): Promise<string> {
    const server = this.#server()
    server.add(AdminServiceService, {
      getStatus: (_, { timeoutMs }) => answer(timeoutMs),
      raiseFeatureLevel: () => Promise.reject(refused('UNIMPLEMENTED', 'UNIMPLEMENTED')),
      voidRecord: () => Promise.reject(refused('UNIMPLEMENTED', 'UNIMPLEMENTED')),
    })
    return `${this.#address},${await server.listen('127.0.0.1:0')}`
  }

  #addJobs(server: ReturnType<ReturnType<typeof memoryNetwork>['server']>): void {
    const bench = this
    const find = (jobId: string) => {
      const found = bench.jobs.find((known) => known.jobId === jobId)
      if (found === undefined) throw refused('NOT_FOUND', 'JOB_NOT_FOUND')
      return { job: found, position: 'mediator:0:1:1' }
    }
    server.add(JobServiceService, {
      async submitJob({ manifest }) {
        bench.manifests.push(manifest)
        if (bench.submitError !== undefined) throw bench.submitError
        return { job: job({ state: 'STATE_QUEUED' }), position: 'mediator:0:1:1' }
      },
      getJob: async ({ jobId }) => find(jobId),
      listJobs: async () => ({ jobs: bench.jobs, nextPageToken: '', position: '' }),
      async *watchJob({ resumeAfter }, { signal }) {
        const answer = () => {
          if (bench.outages <= 0) return
          bench.outages -= 1
          throw refused('UNAVAILABLE', 'SERVER_STOPPING')
        }
        const from = resumeAfter === '' ? 0 : Number(resumeAfter) + 1
        if (from > 0) answer()
        for (const [at, change] of bench.changes.entries()) {
          if (at < from) continue
          yield { job: change, position: String(at) }
          answer()
        }
        bench.watching?.()
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
        })
      },
      cancelJob: async ({ jobId }) => find(jobId),
      scaleJob: async (request) => {
        bench.scales.push(request)
        const { scale } = find(request.jobId).job
        if (scale === undefined) throw refused('FAILED_PRECONDITION', 'NOT_SCALABLE')
        const owner = request.automatic ? '' : 'user'
        const { wanted = 0 } = request
        return { scale: { ...scale, wanted, owner }, ...waitsFor(wanted) }
      },
      updateService: async (request) => {
        bench.updates.push(request)
        const { job: found, position } = find(request.jobId)
        return { job: { ...found, revision: 2 }, position }
      },
      explainJob: async ({ atPosition }) =>
        ExplainJobResponse.fromJSON({ name: 'train', state: 'Queued', position: atPosition }),
    })
    server.add(WorkspaceServiceService, {
      async uploadWorkspace(requests) {
        let workspace = ''
        for await (const { digest } of requests) workspace ||= digest
        return { workspace, bytes: 1n }
      },
      downloadWorkspace: () => {
        throw refused('UNIMPLEMENTED', 'UNIMPLEMENTED')
      },
    })
  }

  #addOthers(server: ReturnType<ReturnType<typeof memoryNetwork>['server']>): void {
    const bench = this
    const more = { nextPageToken: '', position: '' }
    server.add(QueueServiceService, {
      createQueue: async ({ queue }, { principal }) => {
        if (principal.roles.includes('admin') && queue !== undefined) {
          bench.madeQueues.push(queue)
          return { queue, position: '' }
        }
        throw refused('PERMISSION_DENIED', 'ROLE_NEEDED')
      },
      listQueues: async () => ({
        queues: bench.queues.map((name) => QueueStatus.fromJSON({ queue: { name, tenant: 'a' } })),
        ...more,
      }),
    })
    server.add(PoolServiceService, {
      listNodes: async () => {
        if (bench.away) throw refused('UNAVAILABLE', 'SERVER_STOPPING')
        const device = { model: 'emulated/A100', emulated: true, healthy: true }
        const inventory = { cpuMillis: 2000, memoryMib: 2048, devices: [device, device] }
        const node = { nodeId: 'n1', inventory, devicesUsed: 1 }
        return { nodes: [{ ...Node.fromJSON(node), state: Node_State.READY }], ...more }
      },
      listExecutions: () => Promise.reject(refused('NOT_FOUND', 'JOB_NOT_FOUND')),
      async *readLogs() {
        bench.logsLater -= 1
        if (bench.logsLater >= 0) throw refused('NOT_FOUND', 'JOB_NOT_FOUND')
        for (const { rank, text, firstFailing = false } of bench.logs) {
          const data = Buffer.from(text)
          yield { generation: 1, rank, nodeId: 'n1', data, firstFailing, note: '' }
        }
      },
    })
    server.add(AdminServiceService, {
      getStatus: async () => ({
        partitions: bench.partitions,
        version: '0.1.0',
        dataDir: '/data',
        durability: 'durable',
        nowMs: 1n,
        replica: 'r1',
        replicas: ['r1'],
      }),
      raiseFeatureLevel: async (request) => {
        bench.raises.push(request)
        if (bench.raiseError !== undefined) throw bench.raiseError
        const replicas = [{ replica: 'r1', knownFeatureLevel: 2, address: 'a', problem: '' }]
        return { featureLevel: request.level, replicas, position: 'p' }
      },
      voidRecord: async (request) => {
        bench.voids.push(request)
        const voidPosition = request.validateOnly ? 0n : 9n
        const events = [{ type: 'JobQueued', data: '{"jobId":"j"}' }]
        return { recordHash: 'abc', events, atMs: 0n, voidPosition, alreadyVoid: false }
      },
    })
  }

  async sai(...argv: string[]): Promise<number> {
    this.out = ''
    this.err = ''
    return runCli(
      argv,
      {
        out: (text) => {
          this.out += text
        },
        err: (text) => {
          this.err += text
        },
        readStdin: async () => this.stdin,
        env: {},
        cwd: this.directory,
        clock: systemClock,
        timers: systemTimers,
        signal: this.interrupt.signal,
        connect: (options) =>
          connect({
            ...options,
            transport: this.#network.transport(),
            retry: { attempts: 2, firstMs: 1 },
          }),
      },
      this.directory,
    )
  }

  async writeContexts(): Promise<void> {
    const contexts = ['a', 'admin'].map((name) => ({ name, tenant: name, token: name }))
    const text = JSON.stringify({ address: this.#address, contexts, current: 'a' })
    await writeFile(join(this.directory, 'cli.json'), text)
  }
}
