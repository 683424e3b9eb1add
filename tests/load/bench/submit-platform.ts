import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Job, Job_State, JobServiceService } from '@serverless-ai/contracts/job/v1/job'
import { Node_State, PoolServiceService } from '@serverless-ai/contracts/pool/v1/pool'
import { QueueServiceService } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { ClientOf, Transport } from '@serverless-ai/kernel'
import { systemClock } from '@serverless-ai/kernel/system'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { requestId } from '../../support/digits.ts'
import { freePorts } from '../../support/ports.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'
import { BenchAgent } from './bench-agent.ts'

const MAIN = join(ROOT, 'tests/dist/load/bench/bench-platform.js')
/** Agents of a platform. */
export const NODES = 200
/** Emulated devices of each agent. */
export const DEVICES_PER_NODE = 32

/** Client of a tenant. */
export type Jobs = ClientOf<typeof JobServiceService>

/** A control plane in a process of its own, with agents that start nothing. */
export class BenchPlatform {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'sai-bench-'))
  readonly #transports: Transport[] = []
  readonly #agents: BenchAgent[] = []
  #child: ChildProcess | undefined
  #address = ''
  #tokens: { admin: string; tenants: Record<string, string>; nodes: Record<string, string> } = {
    admin: '',
    tenants: {},
    nodes: {},
  }
  /** Ids of all jobs that were acknowledged. */
  readonly acknowledged = new Set<string>()

  async start(): Promise<void> {
    const port = await freePorts(2)
    this.#address = `127.0.0.1:${port}`
    const names = Array.from({ length: NODES }, (_, index) => `bench-${index + 1}`)
    const args = ['--data', this.dataDir, '--port', `${port}`, '--nodes', names.join(',')]
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#child = child
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    await until('the control plane', () => (output.includes('ready') ? true : undefined), {
      timeoutMs: 20_000,
    })
    this.#tokens = JSON.parse(readFileSync(join(this.dataDir, 'tokens.json'), 'utf8'))
    for (const nodeId of names) {
      const token = this.#tokens.nodes[nodeId] ?? ''
      const agent = new BenchAgent({ nodeId, token, devices: DEVICES_PER_NODE })
      this.#agents.push(agent)
      // The stream ends with an error when the control plane stops.
      agent.run(this.#transport(), this.#address).catch(() => {})
    }
    await this.#prepare()
  }

  #transport(): Transport {
    const transport = createGrpcTransport({ clock: systemClock })
    this.#transports.push(transport)
    return transport
  }

  async #prepare(): Promise<void> {
    const target = { address: this.#address, token: this.#tokens.admin }
    const transport = this.#transport()
    const pool = transport.client(PoolServiceService, target)
    await until(
      `${NODES} bench agents`,
      async () => {
        const request = { pageSize: 1_000, pageToken: '', minPosition: '' }
        const { nodes } = await pool.listNodes(request)
        const ready = nodes.filter(({ state }) => state === Node_State.READY)
        return ready.length === NODES ? true : undefined
      },
      { timeoutMs: 20_000 },
    )
    const queue = { name: 'team-a', tenant: 'team-a', weight: 1, priority: 0, maximum: undefined }
    const queues = transport.client(QueueServiceService, target)
    await queues.createQueue({ requestId: '', queue })
  }

  /** Process id of the control plane. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** A client over a connection of its own. */
  jobs(): Jobs {
    const token = this.#tokens.tenants['team-a'] ?? ''
    return this.#transport().client(JobServiceService, { address: this.#address, token })
  }

  /** Submits one job; returns the time to its answer, ms. */
  async submit(jobs: Jobs, text: string): Promise<number> {
    const before = performance.now()
    const { job } = await jobs.submitJob({
      requestId: requestId(),
      manifest: text,
      fileName: 'bench.yaml',
      tenant: '',
      validateOnly: false,
    })
    this.acknowledged.add(job?.jobId ?? '')
    return performance.now() - before
  }

  /** Waits until every acknowledged job holds devices; throws when one does not. */
  async allAllocated(): Promise<void> {
    const jobs = this.jobs()
    await until(
      'every acknowledged job to be admitted',
      async () => {
        const all = await everyJob(jobs)
        const placed = all.filter(({ state }) => isAllocated(state))
        const holding = new Set(placed.map(({ jobId }) => jobId))
        const missing = [...this.acknowledged].filter((jobId) => !holding.has(jobId))
        if (missing.length === 0 && all.length === this.acknowledged.size) return true
        throw new Error(`${missing.length} of ${all.length} not admitted, first ${missing[0]}`)
      },
      { timeoutMs: 20_000, everyMs: 500 },
    )
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) agent.stop()
    this.#child?.kill('SIGTERM')
    await until(
      'the end of the control plane',
      () => (this.#child?.exitCode === null && this.#child.signalCode === null ? undefined : true),
      { timeoutMs: 10_000 },
    ).catch(() => this.#child?.kill('SIGKILL'))
    await Promise.all(this.#transports.map((transport) => transport.close()))
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

const isAllocated = (state: Job_State): boolean =>
  state === Job_State.ADMITTED || state === Job_State.STARTING || state === Job_State.RUNNING

async function everyJob(jobs: Jobs): Promise<readonly Job[]> {
  const all: Job[] = []
  let pageToken = ''
  do {
    const request = { pageSize: 1_000, pageToken, minPosition: '', states: [], queue: '' }
    const page = await jobs.listJobs(request)
    all.push(...page.jobs)
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  return all
}
