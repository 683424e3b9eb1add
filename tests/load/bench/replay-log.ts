import { decodeRecord, logTopic, type MemoryLogStore } from '@serverless-ai/eventlog'
import { uuidV7 } from '@serverless-ai/kernel'
import { BenchNodes } from './replay-nodes.ts'
import { ReplayPlatform } from './replay-platform.ts'

const TENANTS = ['team-a', 'team-b', 'team-c'] as const
/** Tasks of a job: half of them have one, a few have sixteen. */
const SIZES = [1, 1, 1, 1, 1, 2, 2, 4, 4, 8, 16] as const

/** What is recorded. */
export interface LogSize {
  readonly seed: number
  /** Domain events of all services, at least. */
  readonly events: number
  readonly nodes: number
  readonly devicesPerNode: number
  /** Jobs that have not ended; when one ends another one is submitted. */
  readonly openJobs: number
}

/** The log of one service. */
export interface RecordedService {
  /** Last position that counts. */
  readonly through: number
  /** Digest that the leader had there. */
  readonly digest: string
  readonly events: number
  readonly commits: number
  readonly bytes: number
}

/** Logs of all services, as they wrote them. */
export interface RecordedLogs {
  readonly store: MemoryLogStore
  readonly services: ReadonlyMap<string, RecordedService>
  readonly jobs: number
}

class Users {
  readonly #platform: ReplayPlatform
  readonly #open: number
  submitted = 0
  #stopped = false

  constructor(platform: ReplayPlatform, openJobs: number) {
    this.#platform = platform
    this.#open = openJobs
    platform.mediator.onEffective(({ events }) => {
      for (const event of events) {
        const ended =
          event.type === 'JobStateObserved' &&
          (event.view.state === 'Succeeded' || event.view.state === 'Failed')
        if (ended) this.#submit()
      }
    })
  }

  start(): void {
    const { timers } = this.#platform.ports
    for (let i = 0; i < this.#open; i += 1) timers.after(i * 2, () => this.#submit())
  }

  stop(): void {
    this.#stopped = true
  }

  #submit(): void {
    if (this.#stopped) return
    this.submitted += 1
    const { ports, mediator } = this.#platform
    const { pick, bytes } = ports.randomness
    const tenant = pick(TENANTS)
    const requestId = uuidV7(ports.time.wallMs(), bytes(10))
    void mediator.execute(
      {
        type: 'SubmitJob',
        cell: 0,
        tenant,
        submittedBy: `token:${tenant}`,
        requestId,
        rejection: null,
        spec: {
          name: `train-${this.submitted}`,
          queue: tenant,
          type: 'Training',
          tasks: pick(SIZES),
          resources: { devices: 1, deviceModels: [], cpuMillis: 500, memoryMib: 512 },
          command: ['python3', 'train.py', '--epochs', '3'],
          env: { DATA: 's3://bucket/set' },
          workspace: '',
          ports: 1,
          exclusive: false,
          retry: { maxRestarts: 3, onUserError: 1, backoffMs: 1_000 },
          stopGracePeriodMs: 3_000,
          waitForCapacity: false,
          logMaxBytes: 16_777_216,
          priority: 0,
        },
      },
      { requestId, bodyHash: bytes(32) },
    )
  }
}

/** Counts what lies in the log of a service up to a position. */
function measure(store: MemoryLogStore, service: string, through: number) {
  const { records } = store.partition({ topic: logTopic(service), partition: 0 })
  let [events, commits, bytes] = [0, 0, 0]
  for (const { position, value } of records) {
    if (position > through) break
    bytes += value.byteLength
    const { body } = decodeRecord(value)
    if (body?.$case !== 'commit') continue
    commits += 1
    events += body.value.events.length
  }
  return { events, commits, bytes }
}

/**
 * Runs the four services under load until their logs hold so many events: jobs are submitted,
 * placed, started, report progress and checkpoints, fail now and then, recover, and end.
 */
export async function recordLogs(size: LogSize): Promise<RecordedLogs> {
  const platform = new ReplayPlatform(size.seed)
  await platform.start(TENANTS)
  const nodes = await BenchNodes.start(platform, {
    count: size.nodes,
    devices: size.devicesPerNode,
  })
  const users = new Users(platform, size.openJobs)
  let events = 0
  const counted = [platform.mediator, platform.scheduler, platform.pool, platform.faultTolerance]
  for (const runtime of counted) {
    runtime.onEffective((change) => {
      events += change.events.length
    })
  }
  users.start()
  while (events < size.events) await platform.ports.time.advance(100)
  const services = new Map<string, RecordedService>()
  for (const runtime of counted) {
    const { position: through, digest } = await platform.run(runtime.digest())
    const measured = measure(platform.store, runtime.service, through)
    services.set(runtime.service, { through, digest, ...measured })
  }
  users.stop()
  nodes.stop()
  await platform.run(Promise.all(counted.map((runtime) => runtime.stop())))
  return { store: platform.store, services, jobs: users.submitted }
}
