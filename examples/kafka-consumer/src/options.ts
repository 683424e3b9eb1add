import { parseArgs } from 'node:util'

/** How to call the program. */
export const USAGE = `usage: SAI_TOKEN=TOKEN node dist/main.js [--kafka HOST:PORT,…] [OPTIONS]
  --kafka HOST:PORT,…   read from Kafka; without it from the service, by gRPC
  --feed HOST:PORT,…    gRPC of the scheduler's replicas (127.0.0.1:7070)
  --service NAME        whose events (scheduler)
  --cell N              which cell (0)
  --topic-prefix TEXT   prefix of the platform's topics
  --table FILE          where the table is kept (jobs.db)
  --batch N             events of one transaction, at most (500)
  --quiet               do not print each event`

/** The command line. Throws TypeError for an unknown option. */
export function readOptions() {
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
  const { 'topic-prefix': topicPrefix, cell, batch, ...rest } = values
  return { ...rest, topicPrefix, partition: Number(cell), batchMax: Number(batch) }
}
