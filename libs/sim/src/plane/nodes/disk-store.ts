/** The supervisor's records on the disk of a simulated machine. */
import { type Disk, DiskError, type Timers } from '@serverless-ai/kernel'
import {
  compareVersions,
  type DesiredVersion,
  type ExecutionKey,
  exitOf,
  keyFromPath,
  keyPath,
  keyText,
  type LeftExecution,
  NO_VERSION,
  type NodeStore,
  parseExit,
  parseJournal,
  parseStart,
  type StartRecord,
  type TaskExit,
} from '@serverless-ai/node-agent/parts'

/** A disk that fails while a supervisor starts: it is started again, after this long, ms. */
const OPEN_RETRY_MS = 500

interface Execution {
  readonly key: ExecutionKey
  readonly start: StartRecord
  exit: TaskExit | undefined
  /** The pool manager knows its end. */
  forgotten: boolean
}

const textOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(value)}\n`)

function parsed(bytes: Uint8Array | undefined): unknown {
  if (bytes === undefined) return undefined
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return value
  } catch {
    return undefined
  }
}

/**
 * Journal, start and exit records, as files of the same names and texts as on a real node. Reads
 * are answered from memory; writes go to the disk one after the other, as those of one thread do.
 */
export class DiskNodeStore implements NodeStore {
  readonly #disk: Disk
  readonly #nodeDir: string
  readonly #executions = new Map<string, Execution>()
  #journal = NO_VERSION
  #writing: Promise<void> = Promise.resolve()

  private constructor(disk: Disk, nodeDir: string) {
    this.#disk = disk
    this.#nodeDir = nodeDir
  }

  /** Reads what older sessions wrote. */
  static async open(init: {
    readonly disk: Disk
    readonly timers: Timers
    readonly nodeDir: string
    readonly wallMs: () => number
  }): Promise<DiskNodeStore> {
    for (;;) {
      const store = new DiskNodeStore(init.disk, init.nodeDir)
      try {
        await store.#readAll(init.wallMs())
        return store
      } catch (error) {
        if (!(error instanceof DiskError)) throw error
        await init.timers.sleep(OPEN_RETRY_MS)
      }
    }
  }

  async #readAll(wallMs: number): Promise<void> {
    await this.#disk.makeDirectory(`${this.#nodeDir}/executions`)
    this.#journal = parseJournal(parsed(await this.#read(`${this.#nodeDir}/desired.json`)))
    for (const jobId of await this.#namesIn(`${this.#nodeDir}/executions`)) {
      for (const folder of await this.#namesIn(`${this.#nodeDir}/executions/${jobId}`)) {
        const key = keyFromPath(jobId, folder)
        if (key !== undefined) await this.#readExecution(key, wallMs)
      }
    }
  }

  async #readExecution(key: ExecutionKey, wallMs: number): Promise<void> {
    const directory = this.#directory(key)
    const start = parseStart(parsed(await this.#read(`${directory}/started.json`)))
    if (start === undefined) {
      await this.#disk.remove(directory)
      return
    }
    const exit = parseExit(parsed(await this.#read(`${directory}/exit.json`)))
    const forgotten = (await this.#read(`${directory}/forgotten`)) !== undefined
    this.#executions.set(keyText(key), { key, start, exit, forgotten })
    if (exit !== undefined || forgotten) return
    // Durable before it is reported: nothing of an older session runs any more.
    await this.recordExit(
      key,
      exitOf('SUPERVISOR_LOST', 'the supervisor of the node ended', wallMs),
    )
  }

  #directory(key: ExecutionKey): string {
    return `${this.#nodeDir}/executions/${keyPath(key)}`
  }

  async #read(path: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#disk.read(path)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  async #namesIn(path: string): Promise<readonly string[]> {
    return (await this.#disk.list(path)).map(({ name }) => name)
  }

  #write(operation: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(operation)
    this.#writing = done.catch(() => undefined)
    return done
  }

  journal(): DesiredVersion {
    return this.#journal
  }

  writeJournal(version: DesiredVersion): Promise<void> {
    return this.#write(async () => {
      if (compareVersions(version, this.#journal) <= 0) return
      await this.#disk.writeAtomic(`${this.#nodeDir}/desired.json`, textOf(version))
      this.#journal = version
    })
  }

  load(): readonly LeftExecution[] {
    return [...this.#executions.values()].flatMap(({ key, start, exit, forgotten }) => {
      if (forgotten || exit === undefined) return []
      const { pid, startedMs } = start
      return [{ key, start, status: { key, state: 'EXITED', pid, startedMs, exit } }]
    })
  }

  wasStarted(key: ExecutionKey): boolean {
    return this.#executions.has(keyText(key))
  }

  recordStart(key: ExecutionKey, start: StartRecord): Promise<void> {
    return this.#write(async () => {
      const directory = this.#directory(key)
      await this.#disk.makeDirectory(directory)
      await this.#disk.writeAtomic(`${directory}/started.json`, textOf(start))
      const known = this.#executions.get(keyText(key))
      this.#executions.set(keyText(key), {
        exit: undefined,
        forgotten: false,
        ...known,
        key,
        start,
      })
    })
  }

  recordExit(key: ExecutionKey, exit: TaskExit): Promise<void> {
    return this.#write(async () => {
      const directory = this.#directory(key)
      await this.#disk.makeDirectory(directory)
      await this.#disk.writeAtomic(`${directory}/exit.json`, textOf(exit))
      const known = this.#executions.get(keyText(key))
      if (known !== undefined) known.exit = exit
    })
  }

  forget(key: ExecutionKey): Promise<void> {
    return this.#write(async () => {
      const known = this.#executions.get(keyText(key))
      // Ended before it was started: nothing of it is kept.
      if (known === undefined) return this.#disk.remove(this.#directory(key))
      await this.#disk.writeAtomic(`${this.#directory(key)}/forgotten`, new Uint8Array(0))
      known.forgotten = true
    })
  }

  prune(keep: number): readonly StartRecord[] {
    const ended = [...this.#executions.values()].filter(({ forgotten }) => forgotten)
    return ended.slice(0, Math.max(0, ended.length - keep)).map(({ key, start }) => {
      this.#executions.delete(keyText(key))
      this.#write(() => this.#disk.remove(this.#directory(key))).catch(() => undefined)
      return start
    })
  }

  noteInLog(): void {
    // Nobody reads the logs of simulated tasks.
  }
}
