// Keeps a table of all jobs from the scheduler's public events; see README.md.
import { connect } from '@serverless-ai/client'
import { consumeEvents, feedSnapshots, watchedEvents } from '@serverless-ai/client/events'
import { kafkaEvents } from '@serverless-ai/client/kafka'
import { JobTable } from './job-table.ts'
import { kafkaClient } from './kafka-client.ts'
import { readOptions, USAGE } from './options.ts'

async function main(): Promise<void> {
  const options = readOptions()
  if (options.help) return void console.log(USAGE)
  const { kafka: brokers, service, partition, topicPrefix, batchMax } = options
  const token = process.env['SAI_TOKEN']
  const platform = connect({ address: options.feed, ...(token === undefined ? {} : { token }) })
  using table = new JobTable(options.table, ({ seq, type, key }) => {
    if (!options.quiet) console.log(`${seq} ${type} ${key}`)
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
          : kafkaEvents({ kafka: kafkaClient(brokers), service, partition, topicPrefix }),
      snapshots: feedSnapshots(whose),
      table,
      batchMax,
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

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
