// Finds or starts a Kafka broker for the suites that need one, in this order: `SAI_TEST_BROKERS`;
// a container engine that has the image; Java with the broker's jars, resolved by Maven.
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openKafkaLog } from '@serverless-ai/eventlog/kafka'
import { startCluster } from './kafka-cluster.ts'
import { kafkaJars } from './kafka-jars.ts'
import { PATIENT, settingsText } from './kafka-settings.ts'
import { freePorts } from './ports.ts'
import { quietPorts } from './quiet-ports.ts'

const run = promisify(execFile)

/** Image for the container engine; `SAI_KAFKA_IMAGE` names another one. */
export const KAFKA_IMAGE = 'apache/kafka:4.1.0'
const START_TIMEOUT_MS = 60_000

/** A broker that runs. */
export interface KafkaBroker {
  /** Bootstrap addresses, `host:port`, comma-separated. */
  readonly brokers: string
  /** How it came about, for people. */
  readonly from: string
  /** Stops it if it was started here. */
  stop(): Promise<void>
}

/** How it came about, without the paths of this machine. */
export const brokerText = ({ from }: KafkaBroker): string => from.replace(/ with .*/, '')

/** Why no broker can be had, in one line. */
export class NoBrokerError extends Error {
  override readonly name = 'NoBrokerError'
}

/** Finds or starts a broker. Rejects with {@link NoBrokerError} where none can be had. */
export async function startKafkaBroker(): Promise<KafkaBroker> {
  const given = process.env['SAI_TEST_BROKERS']
  if (given) return { brokers: given, from: 'SAI_TEST_BROKERS', stop: async () => undefined }
  const image = process.env['SAI_KAFKA_IMAGE'] ?? KAFKA_IMAGE
  if (await imageAtHand(image)) return startContainer(image)
  try {
    return await startJava(await brokerJars())
  } catch (error) {
    if (!(error instanceof NoBrokerError)) throw error
    const none = `no container engine has ${image}, and ${error.message}`
    throw new NoBrokerError(`no Kafka broker: SAI_TEST_BROKERS is empty, ${none}`)
  }
}

async function works(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    await run(command, args, { timeout: 20_000 })
    return true
  } catch {
    return false
  }
}

async function imageAtHand(image: string): Promise<boolean> {
  if (!(await works('docker', 'version'))) return false
  if (await works('docker', 'image', 'inspect', image)) return true
  try {
    await run('docker', ['pull', '--quiet', image], { timeout: 180_000 })
    return true
  } catch {
    return false
  }
}

/** True when a broker answers a request: a port may take connections long before. */
async function answers(brokers: string): Promise<boolean> {
  try {
    const connection = { brokers: [brokers], connectTimeoutMs: 1000, requestTimeoutMs: 1000 }
    await (await openKafkaLog({ ...connection, ports: quietPorts })).close()
    return true
  } catch {
    return false
  }
}

async function startContainer(image: string): Promise<KafkaBroker> {
  const port = await freePorts(2)
  const directory = mkdtempSync(join(tmpdir(), 'kafka-settings-'))
  // The container's user is not ours.
  chmodSync(directory, 0o755)
  const controller = `127.0.0.1:${port + 1}`
  const settings = settingsText({
    'controller.quorum.voters': `1@${controller}`,
    // Whatever address the port is mapped to, inside the container the broker listens on all.
    listeners: `PLAINTEXT://0.0.0.0:${port},CONTROLLER://${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'log.dirs': '/tmp/kafka-data',
  })
  writeFileSync(join(directory, 'server.properties'), settings)
  const flags = ['--detach', '--rm', '--publish', `127.0.0.1:${port}:${port}`]
  const mount = ['--volume', `${directory}:/mnt/shared/config:ro`]
  const { stdout } = await run('docker', ['run', ...flags, ...mount, image])
  const container = stdout.trim()
  const stop = async (): Promise<void> => {
    await run('docker', ['stop', '--time', '5', container])
    rmSync(directory, { recursive: true, force: true })
  }
  return ready({ brokers: `127.0.0.1:${port}`, from: `container of ${image}`, stop })
}

/** {@link kafkaJars}; rejects with {@link NoBrokerError} where Java or Maven are missing. */
export async function brokerJars(): Promise<string> {
  if (!(await works('java', '-version'))) throw new NoBrokerError('no Java is here')
  try {
    return kafkaJars()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new NoBrokerError(`Java is here, but Maven does not fetch its jars: ${text}`)
  }
}

async function startJava(jars: string): Promise<KafkaBroker> {
  const cluster = await startCluster({ jars, brokers: 1, heapMib: 768, settings: PATIENT })
  return {
    brokers: cluster.connection.brokers.join(','),
    from: `Java with ${jars}`,
    stop: () => cluster.stop(),
  }
}

/** Waits until the broker answers; stops it when it never does. */
async function ready(broker: KafkaBroker): Promise<KafkaBroker> {
  const deadline = performance.now() + START_TIMEOUT_MS
  try {
    while (!(await answers(broker.brokers))) {
      if (performance.now() > deadline) throw new Error('the broker does not answer')
      await sleep(100)
    }
    return broker
  } catch (error) {
    await broker.stop()
    throw error
  }
}
