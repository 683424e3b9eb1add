import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCredentials, type ServiceName } from '@serverless-ai/hosting'
import { systemRandomness } from '@serverless-ai/kernel/system'
import { Platform } from '../../support/platform.ts'
import { freePorts } from '../../support/ports.ts'
import { ROOT } from '../../support/root.ts'
import { until } from '../../support/until.ts'
import { ownBroker } from './cpu.ts'
import { nodeNames } from './fleet.ts'

const MAIN = join(ROOT, 'tests/dist/load/bench/bench-platform.js')
/** Tenant of all jobs of a benchmark. */
export const TENANT = 'team-a'

/** A control plane that a benchmark runs against, in processes of its own. */
export interface Ground {
  /** Holds `tokens.json`. */
  readonly dataDir: string
  /** gRPC `host:port` of a service. */
  addressOf(service: ServiceName): string
  /** Processes by what they are: CPU time is told of each. */
  readonly pids: ReadonlyMap<string, number>
  /** `http://host:port` below which each process of services has its `/metrics`. */
  readonly health: readonly string[]
  stop(): Promise<void>
}

const makeDataDir = (): string => mkdtempSync(join(tmpdir(), 'sai-bench-'))

/** One process on the embedded log. */
export async function embeddedGround(): Promise<Ground> {
  const dataDir = makeDataDir()
  const port = await freePorts(2)
  const address = `127.0.0.1:${port}`
  const args = ['--data', dataDir, '--port', `${port}`, '--nodes', nodeNames().join(',')]
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await until('the control plane', () => (output.includes('ready') ? true : undefined), {
    timeoutMs: 20_000,
  })
  const ended = () => (child.exitCode === null && child.signalCode === null ? undefined : true)
  return {
    dataDir,
    addressOf: () => address,
    pids: new Map([['control plane', child.pid ?? 0]]),
    health: [`http://127.0.0.1:${port + 1}`],
    async stop() {
      child.kill('SIGTERM')
      await until('the end of the control plane', ended, { timeoutMs: 10_000 }).catch(() =>
        child.kill('SIGKILL'),
      )
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** A process of each service on Kafka, as `npm start -- --kafka` runs them. */
export async function kafkaGround(brokers: string): Promise<Ground> {
  const dataDir = makeDataDir()
  openCredentials({
    ...{ dataDir, randomness: systemRandomness },
    ...{ tenants: [TENANT], nodes: nodeNames() },
  })
  const platform = await Platform.start({
    ...{ dataDir, brokers, replicas: 1, nodes: 0, leaseMs: 15_000 },
  })
  const { processes } = platform
  return {
    dataDir,
    addressOf(service) {
      const found = processes.find((one) => one.service === service)
      if (found === undefined) throw new RangeError(`no process of ${service}`)
      return found.address
    },
    pids: new Map([
      ...processes.map(({ service, pid }) => [service, pid] as const),
      ...ownBroker(),
    ]),
    health: processes.map(({ health }) => health),
    async stop() {
      await platform.close()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
