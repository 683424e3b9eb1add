import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ConfigError, type ConfigProblem } from './error.ts'
import type { DeepReadonly } from './load.ts'

/** `host:port`; IPv6 hosts in brackets. */
const broker = z
  .string()
  .regex(
    /^(\[[0-9a-f:.]+\]|[^\s:/,]+):\d{1,5}$/i,
    'must be HOST:PORT, for example kafka-1:9092; several with commas between',
  )

const file = () => z.string().min(1).optional()

/** All of these together, or none of them. */
function together(names: readonly string[], what: string) {
  return (
    given: Readonly<Record<string, unknown>>,
    context: { addIssue(issue: { code: 'custom'; path: string[]; message: string }): void },
  ): void => {
    const missing = names.filter((name) => given[name] === undefined)
    if (missing.length === 0 || missing.length === names.length) return
    const message = `is missing: ${what} needs ${names.join(', ')}, or none of them`
    for (const name of missing) context.addIssue({ code: 'custom', path: [name], message })
  }
}

const tls = z
  .object({
    enabled: z.boolean().default(false).meta({
      description: 'Speak TLS to the brokers; with tls.ca or tls.cert that goes without saying',
    }),
    ca: file().meta({
      description: 'PEM file of the authorities to believe; default: those of the system',
    }),
    cert: file().meta({ description: 'PEM file of the own certificate, where brokers ask for it' }),
    key: file().meta({ description: 'PEM file of its private key' }),
    serverName: z.string().min(1).optional().meta({
      description: "Name that the brokers' certificates carry, if it is not their host",
    }),
  })
  .superRefine(together(['cert', 'key'], 'an own certificate'))
  .prefault({})

const sasl = z
  .object({
    mechanism: z
      .enum(['scram-sha-256', 'scram-sha-512'])
      .default('scram-sha-512')
      .meta({ description: 'scram-sha-512 or scram-sha-256: how user and password are proved' }),
    username: z.string().min(1).optional().meta({ description: 'User of the brokers' }),
    passwordFile: file().meta({ description: 'File with the password of the user, and no more' }),
  })
  .superRefine(together(['username', 'passwordFile'], 'SASL'))
  .prefault({})

/**
 * Keys of a Kafka cluster, for a schema's `kafka` (`--kafka.brokers`, `SAI_KAFKA__BROKERS`). The
 * password has no key of its own: arguments and environments can be read by others.
 */
export const kafkaConfig = z.object({
  brokers: z.array(broker).default([]).meta({
    description: 'Kafka brokers to start from, HOST:PORT,HOST:PORT; empty = the embedded log',
  }),
  clientId: z.string().min(1).max(200).default('serverless-ai').meta({
    description: "Name in the brokers' logs and quotas",
  }),
  topicPrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{0,100}$/, 'must be letters, digits, dots, _ or -, at most 100')
    .default('')
    .meta({
      description: 'Stands before every topic, so that platforms can share a cluster (staging.)',
    }),
  replicationFactor: z.number().int().min(1).max(32).default(3).meta({
    description: 'Copies of each partition, from 1 to 32; with 1 or 2 power loss is not survived',
  }),
  connectTimeoutMs: z.number().int().min(100).max(60_000).default(2000).meta({
    description: 'A broker must take a connection within this, ms',
  }),
  requestTimeoutMs: z.number().int().min(1000).max(120_000).default(5000).meta({
    description: 'A request must be answered within this, ms; then its outcome is unknown',
  }),
  tls,
  sasl,
})
export type KafkaConfig = DeepReadonly<z.output<typeof kafkaConfig>>

/** How to reach a cluster, secrets read: what `openKafkaLog` and `applyTopics` take. */
export interface KafkaSettings {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly topicPrefix: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly tls?: {
    readonly ca?: string
    readonly cert?: string
    readonly key?: string
    readonly servername?: string
  }
  readonly sasl?: {
    readonly mechanism: 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  }
}

/**
 * The settings behind a configuration: reads the PEM files and the password file, once. Throws
 * {@link ConfigError} that names every file that cannot be used.
 */
export function kafkaSettings(config: KafkaConfig): KafkaSettings {
  const problems: ConfigProblem[] = []
  const read = (key: string, path: string | undefined): string | undefined => {
    if (path === undefined) return undefined
    const where = `kafka.${key}: ${path}`
    try {
      const text = readFileSync(path, 'utf8')
      if (text.trim() !== '') return text
      const mend = 'Write the file, or leave the key out'
      problems.push({ code: 'CONFIG_FILE_SYNTAX', where, what: 'the file is empty', mend })
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      const mend = 'Check the path and its permissions'
      problems.push({ code: 'CONFIG_FILE_UNREADABLE', where, what, mend })
    }
    return undefined
  }
  const { brokers, clientId, topicPrefix, connectTimeoutMs, requestTimeoutMs } = config
  const ca = read('tls.ca', config.tls.ca)
  const cert = read('tls.cert', config.tls.cert)
  const key = read('tls.key', config.tls.key)
  const password = read('sasl.passwordFile', config.sasl.passwordFile)
  const [problem, ...more] = problems
  if (problem !== undefined) throw new ConfigError([problem, ...more])
  const { enabled, serverName: servername } = config.tls
  const { mechanism, username } = config.sasl
  const tls = enabled || ca !== undefined || cert !== undefined
  return {
    ...{ brokers, clientId, topicPrefix, connectTimeoutMs, requestTimeoutMs },
    ...(tls && {
      tls: {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(servername !== undefined && { servername }),
      },
    }),
    ...(username !== undefined &&
      password !== undefined && {
        // Editors and `echo` end a file with a line end, which is no part of the password.
        sasl: { mechanism, username, password: password.replace(/\r?\n$/, '') },
      }),
  }
}
