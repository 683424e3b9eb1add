import type { ChildProcess } from 'node:child_process'
import { until } from './until.ts'

/** Characters of the output that are kept, and those that a failure shows. */
const KEPT = 100_000
const SHOWN = 4_000

/** A process that may end and be started again; the newest of its output is kept. */
export class WatchedProcess {
  readonly #name: string
  #child: ChildProcess | undefined
  output = ''

  constructor(name: string) {
    this.#name = name
  }

  /** Looks after a process that was just started, in the place of the one before. */
  watch(child: ChildProcess): ChildProcess {
    const take = (chunk: Buffer): void => {
      this.output = `${this.output}${chunk.toString()}`.slice(-KEPT)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    this.#child = child
    return child
  }

  get child(): ChildProcess | undefined {
    return this.#child
  }

  /** 0 = it was never started. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get running(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves when it has ended: with its exit code, 128 after a signal, 0 if it never ran. */
  exited(timeoutMs: number): Promise<number> {
    const child = this.#child
    const code = () => (child === undefined ? 0 : (child.exitCode ?? (child.signalCode && 128)))
    return until(`${this.#name} to end`, () => code() ?? undefined, { timeoutMs })
  }

  /** Resolves when `url` says yes. Throws with its output when it ends before, or takes longer. */
  async ready(url: string, timeoutMs: number): Promise<void> {
    const ask = async () => (!this.running || (await fetch(url)).ok ? true : undefined)
    try {
      await until(`${this.#name} to be ready`, ask, { timeoutMs })
      if (!this.running) throw new Error(`${this.#name} has ended, and is not ready`)
    } catch (error) {
      throw new Error(`${String(error)}\noutput:\n${this.output.slice(-SHOWN)}`)
    }
  }
}
