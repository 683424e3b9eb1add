// Finds or starts a Kafka broker for the suites that need one, in this order: `SAI_TEST_BROKERS`;
// a container engine that has the image; Java with the broker's jars, resolved by Maven.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { openKafkaLog } from '@serverless-ai/eventlog/kafka'
import { freePorts } from './ports.ts'
import { quietPorts } from './quiet-ports.ts'
import { ROOT } from './root.ts'

const run = promisify(execFile)

/** Image for the container engine; `SAI_KAFKA_IMAGE` names another one. */
export const KAFKA_IMAGE = 'apache/kafka:4.1.0'
const START_TIMEOUT_MS = 60_000

/** A second way in: TLS, and SCRAM-SHA-512 for one user. */
export interface SecureListener {
  readonly brokers: string
  /** Certificate to believe, PEM. */
  readonly ca: string
  readonly username: string
  readonly password: string
}

/** A broker that runs. */
export interface KafkaBroker {
  /** Bootstrap addresses, `host:port`, comma-separated. */
  readonly brokers: string
  /** Absent where the broker was not started from the jars. */
  readonly secure?: SecureListener
  /** How it came about, for people. */
  readonly from: string
  /** Stops it if it was started here. */
  stop(): Promise<void>
}

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
  if ((await works('java', '-version')) && (await works('openssl', 'version'))) {
    return startJava(await brokerJars())
  }
  const none = `no container engine has ${image}, no Java and openssl are here`
  throw new NoBrokerError(`no Kafka broker: SAI_TEST_BROKERS is empty, ${none}`)
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

/** Settings of the template, with the words between @ signs filled in. */
function properties(values: Readonly<Record<string, string | number>>): string {
  const template = readFileSync(join(ROOT, 'infra/kafka/server.properties'), 'utf8')
  return template.replace(/@(\w+)@/g, (_, name: string) => String(values[name]))
}

async function startContainer(image: string): Promise<KafkaBroker> {
  const port = await freePorts(2)
  const directory = mkdtempSync(join(tmpdir(), 'kafka-settings-'))
  // The container's user is not ours.
  chmodSync(directory, 0o755)
  const values = { port, controllerPort: port + 1, dataDirectory: '/tmp/kafka-data' }
  // Whatever address the port is mapped to, inside the container the broker listens on all.
  const settings = properties(values).replace('PLAINTEXT://127.0.0.1', 'PLAINTEXT://0.0.0.0')
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

/** Folder of the broker's jars, in the user's cache; fetched by Maven the first time. */
async function brokerJars(): Promise<string> {
  const pom = join(ROOT, 'infra/kafka/pom.xml')
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 12)
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const jars = join(cache, 'serverless-ai', `kafka-${version}`)
  if (existsSync(jars)) return jars
  if (!(await works('mvn', '--version'))) {
    throw new NoBrokerError('no Kafka broker: Java is here, but no Maven that fetches its jars')
  }
  const half = `${jars}.${process.pid}`
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${half}`]
  await run('mvn', ['-q', '-B', '-f', pom, ...goal], { timeout: 300_000 })
  renameSync(half, jars)
  return jars
}

/** Settings of a listener with TLS and SCRAM, under a certificate made for this run. */
async function secureSettings(
  directory: string,
  port: number,
): Promise<{ listener: SecureListener; lines: readonly string[] }> {
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const files = ['-keyout', key, '-out', certificate]
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...names, ...files])
  const ca = readFileSync(certificate, 'utf8')
  const store = join(directory, 'store.pem')
  writeFileSync(store, readFileSync(key, 'utf8') + ca)
  const username = 'contract'
  const password = randomBytes(12).toString('hex')
  const login = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  const lines = [
    'sasl.enabled.mechanisms=SCRAM-SHA-512',
    `listener.name.secure.scram-sha-512.sasl.jaas.config=${login}`,
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${store}`,
  ]
  return { listener: { brokers: `localhost:${port}`, ca, username, password }, lines }
}

async function startJava(jars: string): Promise<KafkaBroker> {
  const directory = mkdtempSync(join(tmpdir(), 'kafka-broker-'))
  const port = await freePorts(3)
  const dataDirectory = join(directory, 'data')
  mkdirSync(dataDirectory)
  const { listener, lines } = await secureSettings(directory, port + 2)
  const settings = join(directory, 'server.properties')
  const plain = properties({ port, controllerPort: port + 1, dataDirectory })
  const both = plain.replace(/^(advertised\.)?listeners=.*$/gm, `$&,SECURE://localhost:${port + 2}`)
  const mapped = both.replace(/^listener\.security\.protocol\.map=.*$/m, '$&,SECURE:SASL_SSL')
  writeFileSync(settings, [mapped, ...lines, ''].join('\n'))
  const java = ['-Xmx768m', '-cp', join(jars, '*')]
  const id = 'c2VydmVybGVzcy1haS10ZQ'
  const user = `SCRAM-SHA-512=[name=${listener.username},password=${listener.password}]`
  const format = ['format', '-t', id, '-c', settings, '--add-scram', user]
  await run('java', [...java, 'kafka.tools.StorageTool', ...format])
  const output = openSync(join(directory, 'output.txt'), 'w')
  const child = spawn('java', [...java, 'kafka.Kafka', settings], {
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  const onExit = (): void => void child.kill('SIGKILL')
  process.once('exit', onExit)
  const stop = async (): Promise<void> => {
    process.removeListener('exit', onExit)
    await end(child)
    rmSync(directory, { recursive: true, force: true })
  }
  const from = `Java with ${jars}`
  return ready({ brokers: `127.0.0.1:${port}`, secure: listener, from, stop }, () => {
    if (child.exitCode === null) return
    const said = readFileSync(join(directory, 'output.txt'), 'utf8').slice(-2000)
    throw new Error(`the broker ended with ${child.exitCode}:\n${said}`)
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  // Nothing in it is wanted any more, so it need not shut down in order.
  child.kill('SIGKILL')
  await ended
}

/** Waits until the broker answers; stops it when it never does. */
async function ready(
  broker: KafkaBroker,
  alive: () => void = () => undefined,
): Promise<KafkaBroker> {
  const deadline = performance.now() + START_TIMEOUT_MS
  try {
    while (!(await answers(broker.brokers))) {
      alive()
      if (performance.now() > deadline) throw new Error('the broker does not answer')
      await sleep(100)
    }
    return broker
  } catch (error) {
    await broker.stop()
    throw error
  }
}
