import { type EventLog, type LogEntry, logTopic } from '@serverless-ai/eventlog'
import { openKafkaLog } from '@serverless-ai/eventlog/kafka'
import { quantile } from '../report.ts'
import { openGroupReader } from './kafka-group.ts'

/** Service whose topics the adapter is measured on. */
export const ADAPTER = 'bench-adapter'
const address = { topic: logTopic(ADAPTER), partition: 0 }
/** About what a commit of a few events takes. */
export const SMALL_BYTES = 300
/** About what a commit of 250 events takes. */
export const LARGE_BYTES = 25_000
/** Appends one by one of each way of reading. */
export const APPENDS = 2000
const CONCURRENT = 64

const entry = (bytes: number): LogEntry => ({ key: '', headers: {}, value: Buffer.alloc(bytes, 7) })

interface Latencies {
  readonly ackMs: number[]
  readonly visibleMs: number[]
}

/** Appends one by one while `reading` tells when each position is seen. */
async function latencies(
  log: EventLog,
  seenAt: (position: number) => Promise<number>,
  count: number,
): Promise<Latencies> {
  const ackMs: number[] = []
  const visibleMs: number[] = []
  let { end } = await log.range(address)
  for (let n = 0; n < count; n += 1) {
    const seen = seenAt(end)
    const before = performance.now()
    const { position } = await log.append(address, [entry(SMALL_BYTES)])
    ackMs.push(performance.now() - before)
    if (position !== end) throw new Error(`position ${position} instead of ${end}`)
    visibleMs.push((await seen) - before)
    end += 1
  }
  return { ackMs, visibleMs }
}

/** Another opener that tails the partition as a replica would. */
async function seenByTail(log: EventLog, position: number): Promise<number> {
  const options = { from: position, maxBytes: 1 << 20, waitMs: 10_000 }
  const { records } = await log.fetch(address, options)
  if (records[0]?.position !== position) throw new Error(`position ${position} was not read`)
  return performance.now()
}

/** Appends of `bytes` with `lanes` callers at once, per second. */
async function rate(log: EventLog, bytes: number, lanes: number, count: number): Promise<number> {
  let left = count
  const before = performance.now()
  const lane = async () => {
    for (; left > 0; left -= 1) await log.append(address, [entry(bytes)])
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return count / ((performance.now() - before) / 1000)
}

/** Everything from the start, records per second. */
async function readAll(log: EventLog): Promise<number> {
  const { end } = await log.range(address)
  const before = performance.now()
  for (let from = 0; from < end; ) {
    const { records } = await log.fetch(address, { from, maxBytes: 4 << 20, waitMs: 0 })
    from += records.length
  }
  return end / ((performance.now() - before) / 1000)
}

type Connection = Parameters<typeof openKafkaLog>[0]

/**
 * One partition of a broker with one copy, append by append: until the acknowledgement, and until
 * another opener has read it; beside it the same read through a consumer group, which the adapter
 * does without. Tells each figure by name.
 */
export async function measureAdapter(
  connection: Connection,
  note: (name: string, value: number) => void,
): Promise<void> {
  const log = await openKafkaLog(connection)
  const reader = await openKafkaLog(connection)
  await latencies(log, (position) => seenByTail(reader, position), 200)
  const tailed = await latencies(log, (position) => seenByTail(reader, position), APPENDS)
  note('append_ack_p50', quantile(tailed.ackMs, 0.5))
  note('append_ack_p99', quantile(tailed.ackMs, 0.99))
  note('append_visible_p50', quantile(tailed.visibleMs, 0.5))
  note('append_visible_p99', quantile(tailed.visibleMs, 0.99))

  const { end } = await log.range(address)
  const started = performance.now()
  const late = await openKafkaLog(connection)
  await late.fetch(address, { from: end - 1, maxBytes: 1, waitMs: 0 })
  note('tail_start', performance.now() - started)
  await late.close()

  const topic = `${connection.topicPrefix}${address.topic}`
  const group = await openGroupReader({ brokers: connection.brokers, topic, from: end - 1 })
  note('group_start', group.startMs)
  const grouped = await latencies(log, group.seenAt, APPENDS)
  note('group_visible_p50', quantile(grouped.visibleMs, 0.5))
  note('group_visible_p99', quantile(grouped.visibleMs, 0.99))
  await group.close()

  note('small_appends', await rate(log, SMALL_BYTES, CONCURRENT, 20_000))
  note('large_appends', await rate(log, LARGE_BYTES, CONCURRENT, 4000))
  note('records_read', await readAll(reader))
  await Promise.all([log.close(), reader.close()])
}
