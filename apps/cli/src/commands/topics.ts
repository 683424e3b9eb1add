import {
  describeKeys,
  type KafkaConfig,
  kafkaConfig,
  kafkaSettings,
  loadConfig,
} from '@serverless-ai/config'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { TopicFinding, TopicPlan } from '@serverless-ai/eventlog/kafka'
import type { Logger } from '@serverless-ai/kernel'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { CliError, EXIT } from '../exit.ts'
import type { Io } from '../io.ts'
import { count, table } from '../output/text.ts'
import { answer, type CommandScope, wholeNumber } from './shared.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** What a client library says is told with the error, where it matters. */
const quiet: Logger = { log: () => undefined, child: () => quiet }
const schema = z.object({ kafka: kafkaConfig.prefault({}) })

interface TopicsOptions {
  readonly [flag: string]: unknown
  readonly kafka?: string
  readonly cells: number
  readonly eventsRetentionDays: number
  readonly json?: boolean
}

/** Loaded by these commands alone: no other should pay for it at its start. */
const library = () => import('@serverless-ai/eventlog/kafka')
type Library = Awaited<ReturnType<typeof library>>

/** Flags, then variables (`SAI_KAFKA__…`), as with the services; `--kafka` is short for brokers. */
function configOf(io: Io, options: TopicsOptions): KafkaConfig {
  const argv = describeKeys(schema).flatMap(({ flag, kind }) => {
    const value = options[flag.slice(2)]
    if (value === undefined) return []
    return kind === 'boolean' ? [flag] : [flag, String(value)]
  })
  if (options.kafka !== undefined) argv.push('--kafka.brokers', options.kafka)
  const { kafka } = loadConfig(schema, { env: io.env, argv })
  if (kafka.brokers.length > 0) return kafka
  throw new CliError(
    'USAGE',
    'no broker is named: --kafka HOST:PORT,HOST:PORT (SAI_KAFKA__BROKERS)',
  )
}

const exitOf = (code: string): number => (code === 'UNREACHABLE' ? EXIT.unreachable : EXIT.refused)

/** What a command works with. */
interface Work {
  readonly kafka: Library
  readonly connection: Parameters<Library['checkTopics']>[0]
  readonly plan: readonly TopicPlan[]
  /** What acknowledged records survive. */
  readonly durability: string
  readonly brokers: number
  /** Copies that the plan asks for. */
  readonly copies: number
}

/** Connects and runs; what brokers refuse becomes a {@link CliError} with its code. */
async function withCluster(
  io: Io,
  options: TopicsOptions,
  run: (work: Work) => Promise<void>,
): Promise<void> {
  const config = configOf(io, options)
  const { brokers: addresses, ...rest } = kafkaSettings(config)
  const kafka = await library()
  const ports = { clock: io.clock, timers: io.timers, logger: quiet }
  const connection = { ...rest, brokers: addresses, ports }
  const { replicationFactor: copies } = config
  const plan = kafka.planTopics({
    services: SERVICE_NAMES,
    cells: options.cells,
    replication: copies,
    eventsRetentionMs: options.eventsRetentionDays * DAY_MS,
    telemetry: true,
  })
  try {
    const brokers = await kafka.countBrokers(connection)
    const durability = kafka.durabilityOf(Math.min(brokers, copies))
    await run({ kafka, connection, plan, brokers, copies, durability })
  } catch (error) {
    if (!(error instanceof kafka.KafkaLogError)) throw error
    throw new CliError(`KAFKA_${error.code}`, error.message, exitOf(error.code))
  }
}

const kept = (ms: string | undefined): string => {
  if (ms === undefined || ms === '-1') return 'all'
  const hours = Number(ms) / HOUR_MS
  return hours % 24 === 0 ? `${hours / 24} d` : `${hours} h`
}

function planTable(plan: readonly TopicPlan[], findings: readonly TopicFinding[]): string {
  const rows = plan.map(({ topic, partitions, replicationFactor, config }) => {
    const own = findings.filter((each) => each.topic === topic)
    const missing = own.some(({ setting }) => setting === 'topic')
    const state = missing ? 'would be made' : own.length > 0 ? 'differs' : 'as planned'
    const sizes = [partitions, replicationFactor, config['min.insync.replicas'] ?? ''].map(String)
    return [topic, ...sizes, kept(config['retention.ms']), state]
  })
  return table([['TOPIC', 'PARTITIONS', 'COPIES', 'IN SYNC', 'KEEPS', 'NOW'], ...rows])
}

function findingTable(findings: readonly TopicFinding[]): string {
  const rows = findings.map(({ topic, setting, wanted, found, mend }) => {
    return [topic, setting, found === '' ? '-' : found, wanted, mend]
  })
  return table([['TOPIC', 'SETTING', 'IS', 'SHOULD BE', 'MEND'], ...rows])
}

/** The plan with the names that the cluster knows. */
const named = (plan: readonly TopicPlan[], prefix = ''): readonly TopicPlan[] =>
  plan.map((each) => ({ ...each, topic: `${prefix}${each.topic}` }))

const durable = ({ durability }: Work): string => `An acknowledged record survives: ${durability}\n`

function planText(work: Work, findings: readonly TopicFinding[]): string {
  const { connection, brokers, copies } = work
  const plan = named(work.plan, connection.topicPrefix)
  const changes = findings.filter(({ setting }) => setting !== 'topic')
  return [
    planTable(plan, findings),
    changes.length > 0 ? `\n${findingTable(changes)}` : '',
    brokers < copies
      ? `\n${copies} copies need as many brokers; up: ${brokers}. ` +
        'Start them, or plan with --kafka.replication-factor 1\n'
      : '',
    `\n${durable(work)}`,
  ].join('')
}

function withOptions(command: Command): Command {
  command
    .option('--json', 'machine-readable output')
    .addOption(new Option('--kafka <brokers>', 'short for --kafka.brokers'))
    .addOption(
      new Option(
        '--cells <n>',
        'partitions of each topic, one per cell: this version runs cell 0 alone, so leave it ' +
          'at 1; they can only grow',
      )
        .default(1)
        .argParser(wholeNumber('--cells', 1, 10_000)),
    )
    .addOption(
      new Option('--events-retention-days <n>', 'days for which public events are kept')
        .default(14)
        .argParser(wholeNumber('--events-retention-days', 1, 36_500)),
    )
  for (const { flag, kind, description, env } of describeKeys(schema)) {
    const words = kind === 'boolean' ? flag : `${flag} <${kind === 'list' ? 'list' : 'value'}>`
    const option = new Option(words, `${description} (${env})`)
    // The library would turn the dots and dashes of the flag into a name of its own.
    option.attributeName = () => flag.slice(2)
    command.addOption(option)
  }
  return command
}

/** `sai admin topics plan|apply|check`: the topics of the platform on a Kafka cluster. */
export function addTopics(admin: Command, { io, exit }: CommandScope): void {
  const topics = admin
    .command('topics')
    .description('the topics of the platform on Kafka; nothing makes them but this')

  withOptions(topics.command('plan'))
    .description('show what apply would make and change; changes nothing')
    .action((options: TopicsOptions) =>
      withCluster(io, options, async (work) => {
        const { kafka, connection, plan, brokers, durability } = work
        const findings = await kafka.checkTopics(connection, plan)
        const topics = named(plan, connection.topicPrefix)
        const json = { topics, findings, brokers, durability }
        answer(io, options, { json, text: () => planText(work, findings) })
      }),
    )

  withOptions(topics.command('apply'))
    .description('make and mend topics; deletes nothing and takes nothing away')
    .action((options: TopicsOptions) =>
      withCluster(io, options, async (work) => {
        const { kafka, connection, plan, brokers, durability } = work
        const findings = await kafka.applyTopics(connection, plan)
        const left = findings.length > 0 ? `Left for you:\n${findingTable(findings)}\n` : ''
        const text = () => `${count(plan.length, 'topic')} planned\n${left}${durable(work)}`
        answer(io, options, { json: { findings, brokers, durability }, text })
        if (findings.length > 0) exit(EXIT.notAsPlanned)
      }),
    )

  withOptions(topics.command('check'))
    .description('report each setting that is wrong, and what mends it')
    .action((options: TopicsOptions) =>
      withCluster(io, options, async (work) => {
        const { kafka, connection, plan, brokers, durability } = work
        const findings = await kafka.checkTopics(connection, plan)
        const well = `${count(plan.length, 'topic')} as planned\n`
        const text = () => `${findings.length > 0 ? findingTable(findings) : well}${durable(work)}`
        answer(io, options, { json: { findings, brokers, durability }, text })
        if (findings.length > 0) exit(EXIT.notAsPlanned)
      }),
    )
}
