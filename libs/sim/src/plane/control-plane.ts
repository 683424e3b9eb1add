/** The control plane as it runs in production, in processes of the simulated world. */
import { installAutoscaler } from '@serverless-ai/autoscaler/install'
import { type OptionalService, servicesWithout } from '@serverless-ai/contracts/services'
import {
  type MemoryLogFaults,
  noSnapshots,
  openSnapshotDirectory,
  type SnapshotStore,
} from '@serverless-ai/eventlog'
import { installFaultTolerance } from '@serverless-ai/fault-tolerance/install'
import {
  authenticateWith,
  ControlPlaneProcess,
  type Credentials,
  type ServiceKit,
  type ServiceName,
} from '@serverless-ai/hosting/process'
import { installMediator } from '@serverless-ai/mediator/install'
import { installPoolManager } from '@serverless-ai/pool-manager/install'
import { installResourceProfiler } from '@serverless-ai/resource-profiler/install'
import { installScheduler } from '@serverless-ai/scheduler/install'
import { installSlaMonitor } from '@serverless-ai/sla-monitor/install'
import type { Observation } from '../check/types.ts'
import type { Scenario } from '../scenarios/types.ts'
import type { Machine, ProcessContext, Running, SimProcess, World } from '../world/types.ts'
import { emptyBlobStore } from './empty-blob-store.ts'

/** Tokens of the simulated world. No secrets: nothing outside it can reach it. */
export const TOKENS = {
  service: 'token-of-services',
  admin: 'token-of-operators',
  node: (name: string): string => `token-of-node-${name}`,
  tenant: (name: string): string => `token-of-tenant-${name}`,
} as const

export const TENANTS = ['team-a', 'team-b', 'team-c'] as const

/** The autoscaler as it is by default. */
const SCALING = { stepMs: 1_000, giveBackAfterMs: 30_000 }

/** Port of every simulated process. */
const PORT = 7070

/** What a control plane is made of. */
export interface ControlPlaneInit {
  readonly world: World
  readonly scenario: Scenario
  readonly observe: (observation: Observation) => void
  /** Other tokens of operators (`admin`) and tenants than those of `TOKENS`. */
  readonly tokens?: Readonly<Record<string, string>>
  /** False: no snapshots, each start folds the whole log. Default true. */
  readonly snapshots?: boolean
  /** Services that do not run: those that nobody waits for. Default: none. */
  readonly without?: readonly OptionalService[]
}

type Runtime = ReturnType<ServiceKit['host']['get']>

interface Replica {
  readonly service: ServiceName
  readonly process: SimProcess
  /** Of the present incarnation. */
  runtime: Runtime | undefined
  /** It is ended in order. */
  stopping: boolean
}

/** A replica whose partition cannot go on. */
export interface StoppedReplica {
  readonly service: ServiceName
  readonly process: string
  readonly why: string
}

export class ControlPlane {
  readonly #init: ControlPlaneInit
  readonly #services: readonly ServiceName[]
  readonly #replicas: Replica[] = []
  /** Where the log of each service ended at the last look: its followers have had time for that. */
  readonly #ends = new Map<ServiceName, number>()
  readonly machines: readonly Machine[]

  constructor(init: ControlPlaneInit) {
    this.#init = init
    const { world, scenario, without = [] } = init
    this.#services = servicesWithout(without)
    const machines: Machine[] = []
    for (const service of this.#services) {
      for (let number = 1; number <= scenario.replicas; number += 1) {
        const name = `${service}-${number}`
        const machine = world.machine(name)
        machines.push(machine)
        const process = machine.process(name, (context) => this.#main(replica, context))
        const replica: Replica = { service, process, runtime: undefined, stopping: false }
        this.#replicas.push(replica)
      }
    }
    this.machines = machines
  }

  get processes(): readonly SimProcess[] {
    return this.#replicas.map(({ process }) => process)
  }

  /** How the log is to its processes while no fault of it is on. */
  get calmLog(): MemoryLogFaults {
    return { sendDelayMs: this.#init.scenario.appendMs }
  }

  start(): void {
    for (const { process } of this.#replicas) {
      process.setLogFaults(this.calmLog)
      process.start()
    }
  }

  /** Addresses of all replicas of a service, as a configuration names them. */
  addressOf(service: ServiceName): string {
    return this.#namesOf(service)
      .map((name) => `${name}:${PORT}`)
      .join(',')
  }

  /** Process names of the service's replicas. */
  #namesOf(service: ServiceName): readonly string[] {
    return this.#replicas
      .filter((replica) => replica.service === service)
      .map(({ process }) => process.name)
  }

  #credentials(): Credentials {
    const nodes = Array.from(
      { length: this.#init.scenario.nodes },
      (_, index) => `node-${index + 1}`,
    )
    const { tokens = {} } = this.#init
    const tokenOf = (tenant: string): string => tokens[tenant] ?? TOKENS.tenant(tenant)
    return {
      service: TOKENS.service,
      admin: tokens['admin'] ?? TOKENS.admin,
      tenants: Object.fromEntries(TENANTS.map((tenant) => [tenant, tokenOf(tenant)])),
      nodes: Object.fromEntries(nodes.map((node) => [node, TOKENS.node(node)])),
    }
  }

  #snapshots({ ports, sharedDisk }: ProcessContext): SnapshotStore {
    const { snapshots = true } = this.#init
    if (!snapshots) return noSnapshots
    return openSnapshotDirectory({ directory: '/snapshots', ports: { ...ports, disk: sharedDisk } })
  }

  #main(replica: Replica, context: ProcessContext): Running {
    const { scenario } = this.#init
    const { service } = replica
    const { ports } = context
    const peers = Object.fromEntries(
      this.#services
        .filter((other) => other !== service)
        .map((other) => [other, this.addressOf(other)]),
    )
    const plane = new ControlPlaneProcess({
      ports,
      eventLog: context.eventLog,
      snapshots: this.#snapshots(context),
      replica: context.name,
      replicas: this.#namesOf(service),
      listen: `${context.name}:${PORT}`,
      services: [service],
      peers,
      serviceToken: TOKENS.service,
      authenticate: authenticateWith(this.#credentials()),
      insecureDev: true,
      partition: 0,
      dataDir: '/data',
      version: 'simulated',
      required: [],
      transport: context.transport,
      server: (options) => context.server(options),
      runtime: {
        snapshotEveryCommits: scenario.snapshotEveryCommits,
        retentionMs: scenario.retentionMs,
      },
    })
    this.#install(service, plane.kit)
    this.#watch(replica, context, plane)
    plane.start().catch((error: unknown) => {
      ports.logger.log('error', 'the start failed', { error: String(error) })
    })
    return {
      stop: () => {
        replica.stopping = true
        return plane.stop()
      },
    }
  }

  #install(service: ServiceName, kit: ServiceKit): void {
    switch (service) {
      case 'mediator':
        installMediator(kit, { store: emptyBlobStore })
        return
      case 'scheduler':
        installScheduler(kit)
        return
      case 'pool-manager':
        installPoolManager(kit, { leaseMs: this.#init.scenario.leaseMs })
        return
      case 'fault-tolerance':
        installFaultTolerance(kit)
        return
      case 'sla-monitor':
        installSlaMonitor(kit)
        return
      case 'autoscaler':
        installAutoscaler(kit, SCALING)
        return
      case 'resource-profiler':
        installResourceProfiler(kit)
    }
  }

  /** What of a replica is seen from outside. */
  #watch(replica: Replica, context: ProcessContext, plane: ControlPlaneProcess): void {
    const { observe, world } = this.#init
    const { service, process } = replica
    const runtime = plane.kit.host.get(service)
    replica.runtime = runtime
    replica.stopping = false
    const leading = (leads: boolean, epoch: number): void => {
      const atMs = world.time.nowMs
      observe({ kind: 'leading', atMs, process: process.name, service, epoch, leads })
    }
    let last: number | undefined
    runtime.onLeadership((leads, epoch) => {
      last = leads ? epoch : undefined
      leading(leads, epoch)
    })
    context.onDeath(() => {
      if (replica.runtime === runtime) replica.runtime = undefined
      if (last !== undefined) leading(false, last)
    })
  }

  /** Asks each replica that runs for the digest of its state. */
  sampleDigests(): void {
    const { observe, world } = this.#init
    for (const { service, process, runtime } of this.#replicas) {
      if (runtime === undefined || process.state !== 'running') continue
      runtime.digest().then(
        ({ position, digest }) => {
          const atMs = world.time.nowMs
          observe({ kind: 'digest', atMs, process: process.name, service, position, digest })
        },
        // A replica that has no state to show now.
        () => undefined,
      )
    }
  }

  /** Replicas that run and whose partition has stopped by itself. */
  stopped(): readonly StoppedReplica[] {
    return this.#replicas.flatMap(({ service, process, runtime, stopping }) => {
      const status = stopping ? undefined : runtime?.status()
      if (status?.role !== 'Stopped' || process.logDamaged) return []
      return [{ service, process: process.name, why: status.alarm }]
    })
  }

  /** What is not in order since the last look, one line each. */
  open(): readonly string[] {
    return this.#services.flatMap((service) => this.#openOf(service))
  }

  #openOf(service: ServiceName): readonly string[] {
    const replicas = this.#replicas.filter(
      (replica) => replica.service === service && !replica.process.logDamaged,
    )
    const statuses = replicas.flatMap(({ process, runtime }) =>
      runtime === undefined || process.state !== 'running' ? [] : [runtime.status()],
    )
    if (statuses.length < replicas.length) return [`${service}: a replica does not run`]
    const leading = statuses.filter(({ role }) => role === 'Leading')
    const [leader] = leading
    if (leader === undefined || leading.length > 1) return [`${service}: ${leading.length} lead`]
    const stopped = statuses.filter(({ role }) => role === 'Stopped')
    const end = this.#ends.get(service) ?? leader.position
    this.#ends.set(service, leader.position)
    const behind = statuses.filter(({ position }) => position < end)
    const { unsettledEffects, publicSeq, publishedSeq } = leader
    return [
      ...(stopped.length > 0 ? [`${service}: ${stopped.length} have stopped`] : []),
      ...(behind.length > 0 ? [`${service}: followers are behind`] : []),
      ...(unsettledEffects > 0 ? [`${service}: ${unsettledEffects} effects are not settled`] : []),
      ...(publishedSeq < publicSeq ? [`${service}: events are not published`] : []),
    ]
  }
}
