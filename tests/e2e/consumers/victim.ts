import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ROOT } from '../../support/root.ts'
import { TOKEN } from './leader.ts'

const MAIN = join(ROOT, 'examples/kafka-consumer/dist/main.js')

/** The machine may be full of other work. */
const START_TIMEOUT_MS = 120_000

/** A consumer as users start it: the built example, killed and started again on the same table. */
export class Victim {
  readonly name: 'kafka' | 'grpc'
  readonly table: string
  readonly #args: readonly string[]
  readonly #token: string
  #child: ChildProcess | undefined
  #onLine: (line: string) => void = () => undefined
  /** What it complained about, the end of it. */
  complaints = ''

  constructor(init: {
    readonly name: 'kafka' | 'grpc'
    readonly table: string
    readonly feed: string
    readonly token?: string
    readonly kafka?: { readonly brokers: string; readonly topicPrefix: string } | undefined
  }) {
    this.name = init.name
    this.table = init.table
    const { kafka, token = TOKEN } = init
    this.#token = token
    const topic =
      kafka === undefined ? [] : ['--kafka', kafka.brokers, '--topic-prefix', kafka.topicPrefix]
    this.#args = ['--table', init.table, '--feed', init.feed, '--batch', '50', ...topic]
  }

  start(): void {
    const child = spawn(process.execPath, [MAIN, ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SAI_TOKEN: this.#token },
    })
    createInterface({ input: child.stdout }).on('line', (line) => this.#onLine(line))
    child.stderr.on('data', (chunk: Buffer) => {
      this.complaints = `${this.complaints}${chunk.toString()}`.slice(-4_000)
    })
    this.#child = child
  }

  /** Resolves with its next words; undefined when it says nothing for so long, or has ended. */
  async #line(timeoutMs: number): Promise<string | undefined> {
    return new Promise((resolve) => {
      const child = this.#child
      const heard = (line?: string): void => {
        this.#onLine = () => undefined
        child?.removeListener('exit', gone)
        clearTimeout(timer)
        resolve(line)
      }
      const gone = (): void => heard()
      const timer = setTimeout(gone, timeoutMs)
      child?.once('exit', gone)
      this.#onLine = heard
    })
  }

  /** Kills it; before, lets it say so many lines, or live so long after the first one. */
  async kill(when?: { readonly lines: number; readonly afterMs: number }): Promise<void> {
    if (when !== undefined) await this.#liveFor(when)
    await this.#end('SIGKILL')
  }

  async #liveFor(when: { readonly lines: number; readonly afterMs: number }): Promise<void> {
    const first = await this.#line(START_TIMEOUT_MS)
    if (first === undefined) {
      const how = this.alive ? 'says nothing' : `ended with ${this.#child?.exitCode}`
      throw new Error(`${this.name} ${how}: ${this.complaints}`)
    }
    const endMs = performance.now() + when.afterMs
    for (let lines = 0; lines < when.lines; lines += 1) {
      const leftMs = endMs - performance.now()
      if (leftMs <= 0 || (await this.#line(leftMs)) === undefined) return
    }
  }

  /** Ends it in order; returns its exit code. */
  stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined) return null
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${this.name} ended by itself (${child.exitCode}): ${this.complaints}`)
    }
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
    return child.exitCode
  }

  /** True while it runs. */
  get alive(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null
  }
}
