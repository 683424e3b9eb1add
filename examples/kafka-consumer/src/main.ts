// Keeps a table of all jobs from the scheduler's public events; see README.md.
import { parseArgs } from 'node:util'
import { connect } from '@serverless-ai/client'
import { consumeEvents, feedSnapshots, watchedEvents } from '@serverless-ai/client/events'
import { kafkaEvents } from '@serverless-ai/client/kafka'
import kafkajs from 'kafkajs'
import { JobTable } from './job-table.ts'

const USAGE = `usage: SAI_TOKEN=TOKEN node dist/main.js [--kafka HOST:PORT,…] [OPTIONS]
  --kafka HOST:PORT,…   read from Kafka; without it from the service, by gRPC
  --feed HOST:PORT,…    gRPC of the scheduler's replicas (127.0.0.1:7070)
  --service NAME        whose events (scheduler)
  --cell N              which cell (0)
  --topic-prefix TEXT   prefix of the platform's topics
  --table FILE          where the table is kept (jobs.db)
  --batch N             events of one transaction, at most (500)
  --quiet               do not print each event`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kafka: { type: 'string' },
      feed: { type: 'string', default: '127.0.0.1:7070' },
      service: { type: 'string', default: 'scheduler' },
      cell: { type: 'string', default: '0' },
      'topic-prefix': { type: 'string', default: '' },
      table: { type: 'string', default: 'jobs.db' },
      batch: { type: 'string', default: '500' },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void console.log(USAGE)
  const { kafka: brokers, service, 'topic-prefix': topicPrefix } = values
  const partition = Number(values.cell)
  const token = process.env['SAI_TOKEN']
  const platform = connect({ address: values.feed, ...(token === undefined ? {} : { token }) })
  using table = new JobTable(values.table, ({ seq, type, key }) => {
    if (!values.quiet) console.log(`${seq} ${type} ${key}`)
  })
  console.log(`going on after event ${table.load()?.seq ?? 0}`)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  const whose = { feeds: platform.feeds, service, partition }
  try {
    await consumeEvents({
      source:
        brokers === undefined
          ? watchedEvents(whose)
          : kafkaEvents({ kafka: client(brokers), service, partition, topicPrefix }),
      snapshots: feedSnapshots(whose),
      table,
      batchMax: Number(values.batch),
      signal: stop.signal,
      onBootstrap({ cause, after, mark }) {
        console.log(`events ${after.seq + 1} to ${mark.seq} by the present state: ${cause.kind}`)
      },
      onTrouble: (error) => console.error(`trying again: ${error.message}`),
    })
  } finally {
    await platform.close()
  }
}

/** Your own client with its TLS and SASL settings. */
const client = (brokers: string) =>
  new kafkajs.Kafka({
    clientId: 'job-table',
    brokers: brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 2, initialRetryTime: 100 },
  })

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
