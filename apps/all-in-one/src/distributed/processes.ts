import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  HealthCheckResponse_ServingStatus,
  HealthService,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import { abortable, type Ports, RpcError, type Timer, type Transport } from '@serverless-ai/kernel'
import { Restarts } from '../restarts.ts'
import { type Child, lastWords, startChild } from './child.ts'
import type { ServiceProcess } from './plan.ts'
import { PROCESSES_FILE } from './record.ts'
import { ServiceStartError } from './start-error.ts'

/** How often something that may not be started yet is looked at again, ms. */
const LOOK_EVERY_MS = 250
const HEALTH_TIMEOUT_MS = 2_000

/** The processes of the control plane: started, looked after, and ended together. */
export class ServiceProcesses {
  readonly #ports: Ports
  readonly #dataDir: string
  readonly #plan: readonly ServiceProcess[]
  readonly #transport: Transport
  readonly #restarts = new Restarts()
  readonly #running = new Map<string, Child>()
  readonly #timers = new Set<Timer>()
  #begun = false
  #stopped = false

  constructor(
    ports: Ports,
    init: { dataDir: string; plan: readonly ServiceProcess[]; transport: Transport },
  ) {
    this.#ports = ports
    this.#transport = init.transport
    this.#dataDir = init.dataDir
    this.#plan = init.plan
  }

  /**
   * Writes the configurations, starts all processes and waits until each is ready.
   * @throws ServiceStartError when one ends before
   */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const directory = join(this.#dataDir, 'processes')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    for (const { configFile, config } of this.#plan) writePrivate(configFile, config)
    const each = this.#plan.map((one) => {
      const { listening, ended } = this.#start(one)
      const early = ended.then((how) => {
        throw new ServiceStartError(`${one.name} ended with ${how}:\n${lastWords(one)}`)
      })
      return Promise.race([listening, early])
    })
    await abortable(Promise.all(each), signal)
    this.#begun = true
    for (const one of this.#plan) if (!this.#running.has(one.name)) this.#revive(one)
    while ((await this.missing()).length > 0) await this.#ports.timers.sleep(LOOK_EVERY_MS, signal)
  }

  /** Sentences about processes that do not serve. */
  async missing(): Promise<readonly string[]> {
    const each = await Promise.all(this.#plan.map((one) => this.#problemOf(one)))
    return each.flat()
  }

  async #problemOf({ name, service, address }: ServiceProcess): Promise<readonly string[]> {
    const health = this.#transport.client(HealthService, { address })
    try {
      const { status } = await health.check({ service }, { timeoutMs: HEALTH_TIMEOUT_MS })
      if (status === HealthCheckResponse_ServingStatus.SERVING) return []
      return [`${name} is not serving`]
    } catch (error) {
      if (!(error instanceof RpcError)) throw error
      return [`${name} does not answer: ${error.message}`]
    }
  }

  /** Ends all processes in order: each yields what it leads. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers) timer.cancel()
    await Promise.all([...this.#running.values()].map((child) => child.stop()))
  }

  #start(one: ServiceProcess): Child {
    const child = startChild(one, this.#ports.timers)
    this.#restarts.mayStart(one.name, this.#ports.clock.monotonicMs())
    this.#running.set(one.name, child)
    this.#record()
    void child.ended.then((how) => {
      this.#running.delete(one.name)
      if (this.#stopped || !this.#begun) return
      const { logFile: output } = one
      this.#ports.logger.log('warn', 'a service ended, starting it anew', {
        process: one.name,
        how,
        output,
      })
      this.#revive(one)
    })
    return child
  }

  /** Starts it as soon as it may be: one that dies again and again waits ever longer. */
  #revive(one: ServiceProcess): void {
    if (this.#stopped) return
    if (this.#restarts.mayStart(one.name, this.#ports.clock.monotonicMs())) {
      this.#start(one)
      return
    }
    const timer = this.#ports.timers.after(LOOK_EVERY_MS, () => {
      this.#timers.delete(timer)
      this.#revive(one)
    })
    this.#timers.add(timer)
  }

  /** Tells people and tests which process is which: `processes.json` of the data directory. */
  #record(): void {
    const processes = this.#plan.map(({ name, service, replica, address, health }) => {
      return { name, service, replica, address, health, pid: this.#running.get(name)?.pid ?? 0 }
    })
    const path = join(this.#dataDir, PROCESSES_FILE)
    writePrivate(path, { pid: process.pid, processes })
  }
}

function writePrivate(path: string, content: object): void {
  const temporary = `${path}.tmp`
  writeFileSync(temporary, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(temporary, path)
}
