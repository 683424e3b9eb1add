// What the specs of this folder share: a cluster, or one line that says why there is none.
import { tmpdir } from 'node:os'
import {
  applyTopics,
  type KafkaConnection,
  openKafkaLog,
  planTopics,
} from '@serverless-ai/eventlog/kafka'
import { brokerJars, NoBrokerError } from '../../support/kafka-broker.ts'
import { networkPermitted } from '../../support/kafka-network.ts'
import { disksPermitted } from '../../support/kafka-node.ts'
import { quietPorts } from '../../support/quiet-ports.ts'

/** What this machine allows; with `CI` set, less than all is a failure. */
export interface Means {
  /** Folder of the broker's jars; empty = none to be had. */
  readonly jars: string
  /** Hosts can be cut off. */
  readonly network: boolean
  /** Disks can be filled up. */
  readonly disks: boolean
}

/** Folder of the broker's jars, or why there is none. */
async function jarsOrWhy(): Promise<{ readonly jars: string; readonly why: string }> {
  try {
    return { jars: await brokerJars(), why: '' }
  } catch (error) {
    if (!(error instanceof NoBrokerError)) throw error
    return { jars: '', why: error.message }
  }
}

function leaveOut(missing: readonly string[]): void {
  if (missing.length === 0) return
  if (process.env['CI']) throw new Error(`CI leaves nothing out: ${missing.join('; ')}`)
  console.log(`left out: ${missing.join('; ')}`)
}

/**
 * Folder of the broker's jars. Where there is none it says that `what` is left out and returns '';
 * with `CI` set it throws.
 */
export async function jarsHere(what: string): Promise<string> {
  const { jars, why } = await jarsOrWhy()
  if (jars === '') leaveOut([`${what}: ${why}`])
  return jars
}

/** Finds out what can be done here, and says what is left out. */
export async function meansHere(): Promise<Means> {
  const { jars, why } = await jarsOrWhy()
  const network = await networkPermitted()
  const disks = await disksPermitted(tmpdir())
  leaveOut([
    ...(jars === '' ? [`all faults of brokers: ${why}`] : []),
    ...(network ? [] : ['brokers that are cut off: no root, or no iproute2']),
    ...(disks ? [] : ['full disks: no root']),
  ])
  return { jars, network, disks }
}

/** The service whose topics the specs use. */
export const SERVICE = 'contract'
/** Its private log. */
export const LOG = { topic: `serverlessai.log.${SERVICE}.v1`, partition: 0 } as const

/** Its public events. */
export const EVENTS = `serverlessai.events.${SERVICE}.v1`

/** Makes the private log of {@link SERVICE}, and the topic of its events if they are wanted. */
export async function makeLog(
  connection: KafkaConnection,
  options: { replication: number; cells?: number; events?: boolean },
): Promise<void> {
  const { events = false, ...rest } = options
  const all = planTopics({ services: [SERVICE], ...rest })
  const plan = all.filter(({ kind }) => events || kind === 'log')
  const left = await applyTopics({ ...connection, ports: quietPorts }, plan)
  if (left.length > 0) throw new Error(`topics are not as planned: ${JSON.stringify(left)}`)
}

/** Opens a log with a short patience: faults are the rule here. */
export const open = (connection: KafkaConnection) =>
  openKafkaLog({ requestTimeoutMs: 2000, connectTimeoutMs: 1000, ...connection, ports: quietPorts })
