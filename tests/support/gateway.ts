import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { Platform } from './platform.ts'
import { freePorts } from './ports.ts'
import { ROOT } from './root.ts'
import { until } from './until.ts'

const MAIN = join(ROOT, 'services/gateway/dist/main.js')

/** A gateway in a process of its own, beside a platform. */
export class GatewayProcess {
  readonly #platform: Platform
  readonly #port: number
  #child: ChildProcess | undefined

  private constructor(platform: Platform, port: number) {
    this.#platform = platform
    this.#port = port
  }

  static async start(platform: Platform): Promise<GatewayProcess> {
    const gateway = new GatewayProcess(platform, await freePorts(3))
    await gateway.spawn()
    return gateway
  }

  /** Where callers go. */
  get url(): string {
    return `http://127.0.0.1:${this.#port + 2}`
  }

  /** `/readyz` and `/metrics` are below it. */
  get health(): string {
    return `http://127.0.0.1:${this.#port + 1}`
  }

  /** Starts it (again); resolves when it knows all routes. */
  async spawn(): Promise<void> {
    const platform = this.#platform
    const peers = SERVICE_NAMES.flatMap((name) => [`--peers.${name}`, platform.addressOf(name)])
    const args = [MAIN, '--data', platform.dataDir, '--port', String(this.#port), ...peers]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const ready = async () => {
      const answer = await fetch(`${this.health}/readyz`)
      return answer.status === 200 || undefined
    }
    await until('the gateway is ready', ready, { timeoutMs: 120_000 })
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}
