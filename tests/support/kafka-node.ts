// One broker process, and what can happen to it.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LabHost } from './kafka-network.ts'
import type { ScramUser } from './kafka-security.ts'
import { type BrokerPlace, type BrokerSettings, settingsText } from './kafka-settings.ts'

const run = promisify(execFile)

/** A broker of a cluster. The verbs do what they say and wait until it is done. */
export interface BrokerNode {
  readonly id: number
  /** Address of its host. */
  readonly host: string
  /** Throws with the end of its output when the process has ended. */
  mustRun(): void
  /** True while the process is there, paused or not. */
  readonly running: boolean
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM: it hands its partitions over first. */
  stop(): Promise<void>
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** Starts the process again on its data. Whether it is ready, the cluster tells. */
  start(): void
  /** Resolves when the process has ended by itself. */
  ended(): Promise<void>
  /** Cuts its host off; needs a network. */
  cutOff(): Promise<void>
  /** Cuts it off from these hosts alone. */
  cutFrom(hosts: readonly string[]): Promise<void>
  reconnect(): Promise<void>
  /** Takes all room of its disk that is left; needs a disk of its own. */
  fillDisk(): void
  /** Gives the room back. */
  freeDisk(): void
  /** Kills it and takes its disk away. */
  destroy(): Promise<void>
}

/** The cable of a broker's host. */
export type CableEnd = Pick<LabHost, 'cutOff' | 'cutFrom' | 'reconnect'>

/** How a broker is started. */
export interface NodeOptions {
  readonly jars: string
  readonly place: BrokerPlace
  /** Words before its command. */
  readonly prefix: readonly string[]
  /** Its own directory, which exists. */
  readonly home: string
  readonly clusterId: string
  /** First records of the cluster: {@link formatCluster}. */
  readonly checkpoint: Uint8Array
  readonly heapMib: number
  /** It speaks TLS. */
  readonly tls: boolean
  readonly settings: (dataDirectory: string) => BrokerSettings
  readonly cable?: CableEnd
  readonly diskMib?: number
}

/** Starts in half the time of the defaults, and leaves two cores some air. */
const JVM = ['-XX:+UseSerialGC', '-Xshare:auto']
/** The same, but without the compiler that knows the processor's instructions for AES. */
const JVM_WITHOUT_TLS = [...JVM, '-XX:TieredStopAtLevel=1']

/** Words of a JVM that finds the broker's classes. */
const java = (jars: string, heapMib: number, jvm: readonly string[]): readonly string[] => [
  ...jvm,
  `-Xmx${heapMib}m`,
  ...['-cp', join(jars, '*')],
]

/**
 * The first records of a cluster, with its users, as Kafka's own tool makes them: once for all
 * brokers, for each run of it takes seconds.
 */
export async function formatCluster(init: {
  readonly jars: string
  /** Scratch directory, which exists. */
  readonly directory: string
  readonly settings: (dataDirectory: string) => BrokerSettings
  readonly clusterId: string
  readonly users: readonly ScramUser[]
}): Promise<Uint8Array> {
  const { jars, directory, clusterId, users } = init
  const data = join(directory, 'formatted')
  const settings = join(directory, 'format.properties')
  writeFileSync(settings, settingsText(init.settings(data)), { mode: 0o600 })
  const scram = users.flatMap(({ name, password }) =>
    [256, 512].flatMap((bits) => [
      '--add-scram',
      `SCRAM-SHA-${bits}=[name=${name},password=${password}]`,
    ]),
  )
  const words = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', settings, ...scram]
  await run('java', [...java(jars, 128, JVM_WITHOUT_TLS), ...words])
  return readFileSync(join(data, 'bootstrap.checkpoint'))
}

/** Makes the data directory and starts the broker. */
export async function startNode(options: NodeOptions): Promise<BrokerNode> {
  const { home, jars, place, clusterId, checkpoint, heapMib, diskMib } = options
  const disk = join(home, 'disk')
  mkdirSync(disk)
  if (diskMib !== undefined) {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'kafka-test', disk])
  }
  try {
    const data = join(disk, 'data')
    mkdirSync(data)
    const meta = {
      version: 1,
      'cluster.id': clusterId,
      'node.id': place.id,
      'directory.id': randomBytes(16).toString('base64url'),
    }
    const lines = Object.entries(meta).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(join(data, 'meta.properties'), lines.join(''))
    writeFileSync(join(data, 'bootstrap.checkpoint'), checkpoint)
    const settings = join(home, 'server.properties')
    writeFileSync(settings, settingsText(options.settings(data)), { mode: 0o600 })
    const words = java(jars, heapMib, options.tls ? JVM : JVM_WITHOUT_TLS)
    const node = new JavaBroker(options, disk, [...words, 'kafka.Kafka', settings])
    node.start()
    return node
  } catch (error) {
    if (diskMib !== undefined) await run('umount', [disk])
    throw error
  }
}

class JavaBroker implements BrokerNode {
  readonly id: number
  readonly host: string
  readonly #options: NodeOptions
  readonly #disk: string
  readonly #java: readonly string[]
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(options: NodeOptions, disk: string, java: readonly string[]) {
    this.#options = options
    this.#disk = disk
    this.#java = java
    this.id = options.place.id
    this.host = options.place.host
  }

  get running(): boolean {
    const child = this.#child
    return child !== undefined && child.exitCode === null && child.signalCode === null
  }

  get #output(): string {
    return join(this.#options.home, 'output.txt')
  }

  mustRun(): void {
    if (this.running) return
    const said = readFileSync(this.#output, 'utf8').slice(-3000)
    throw new Error(`broker ${this.id} has ended:\n${said}`)
  }

  start(): void {
    if (this.running) throw new Error(`broker ${this.id} runs already`)
    const output = openSync(this.#output, 'a')
    // It must not outlive a test run that is killed.
    const leash = existsSync('/usr/bin/setpriv') ? ['setpriv', '--pdeathsig', 'KILL'] : []
    const words = [...this.#options.prefix, ...leash, 'java', ...this.#java]
    const [command = '', ...rest] = words
    const child = spawn(command, rest, { stdio: ['ignore', output, output] })
    closeSync(output)
    this.#child = child
    const onExit = (): void => void child.kill('SIGKILL')
    process.once('exit', onExit)
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => {
        process.removeListener('exit', onExit)
        resolve()
      })
    })
  }

  ended(): Promise<void> {
    return this.#ended
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  async stop(): Promise<void> {
    this.#child?.kill('SIGTERM')
    await this.#ended
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  #cable(): NonNullable<NodeOptions['cable']> {
    const { cable } = this.#options
    if (cable === undefined) throw new Error('this cluster has no network of its own')
    return cable
  }

  cutOff(): Promise<void> {
    return this.#cable().cutOff()
  }

  cutFrom(hosts: readonly string[]): Promise<void> {
    return this.#cable().cutFrom(hosts)
  }

  reconnect(): Promise<void> {
    return this.#cable().reconnect()
  }

  get #ballast(): string {
    return join(this.#disk, 'ballast')
  }

  fillDisk(): void {
    if (this.#options.diskMib === undefined) throw new Error('this broker has no disk of its own')
    const file = openSync(this.#ballast, 'a')
    try {
      // Ever smaller pieces, so that nothing is left.
      for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
        const piece = Buffer.alloc(bytes)
        while (writes(file, piece));
      }
    } finally {
      closeSync(file)
    }
  }

  freeDisk(): void {
    rmSync(this.#ballast, { force: true })
  }

  async destroy(): Promise<void> {
    await this.kill()
    if (this.#options.diskMib !== undefined) await run('umount', [this.#disk])
  }
}

/** False when the disk has no room for it. */
function writes(file: number, piece: Buffer): boolean {
  try {
    return writeSync(file, piece) === piece.byteLength
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false
    throw error
  }
}

let mounts: Promise<boolean> | undefined

/** True where this process may mount a disk of its own for a broker: as root. */
export function disksPermitted(at: string): Promise<boolean> {
  mounts ??= (async () => {
    const probe = join(at, `kafka-probe-${process.pid}`)
    mkdirSync(probe, { recursive: true })
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'kafka-test', probe])
      await run('umount', [probe])
      return true
    } catch {
      return false
    } finally {
      rmSync(probe, { recursive: true, force: true })
    }
  })()
  return mounts
}
