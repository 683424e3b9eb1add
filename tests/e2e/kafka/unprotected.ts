// Logs with a rule left out, to show what it is for. Nothing of the product uses them.
import {
  type EventLog,
  type LogAddress,
  LogOutOfRangeError,
  type LogRecord,
} from '@serverless-ai/eventlog'
import { systemTimers } from '@serverless-ai/kernel/system'

const same = (a: LogAddress, b: LogAddress): boolean =>
  a.topic === b.topic && a.partition === b.partition

/**
 * Without arbitration: the process takes an acknowledgement of the brokers for the truth. What it
 * appended is what it reads back, and nobody else's record ever reaches it. Only for a process that
 * opens an empty log.
 */
export function believing(log: EventLog, at: LogAddress): EventLog {
  const own: LogRecord[] = []
  const rest = { start: 0 }
  return {
    kind: log.kind,
    durability: log.durability,
    async append(address, entries) {
      const ack = await log.append(address, entries)
      if (!same(address, at)) return ack
      own.push(...entries.map((entry, n) => ({ ...entry, position: own.length + n })))
      return ack
    },
    async fetch(address, options) {
      if (!same(address, at)) return log.fetch(address, options)
      const { from, waitMs, signal } = options
      for (let waitedMs = 0; own.length <= from && waitedMs < waitMs; waitedMs += 10) {
        await systemTimers.sleep(10, signal)
      }
      return { ...rest, records: own.slice(from), end: Math.max(own.length, from) }
    },
    range: async (address) =>
      same(address, at) ? { ...rest, end: own.length } : log.range(address),
    trim: (address, below) => log.trim(address, below),
    close: () => log.close(),
  }
}

/**
 * Without errors for positions out of range: as a client that resets its offset by itself, the
 * process goes on at the end of what there is, as if nothing were missing.
 */
export function resetting(log: EventLog, at: LogAddress): EventLog {
  /** What the positions of this process are ahead of those of the log. */
  let ahead = 0
  return {
    kind: log.kind,
    durability: log.durability,
    append: (address, entries) => log.append(address, entries),
    async fetch(address, options) {
      if (!same(address, at)) return log.fetch(address, options)
      const from = options.from
      try {
        const found = await log.fetch(address, { ...options, from: from - ahead })
        const records = found.records.map((each) => ({ ...each, position: each.position + ahead }))
        return { records, start: found.start, end: found.end + ahead }
      } catch (error) {
        if (!(error instanceof LogOutOfRangeError)) throw error
        ahead = from - (await log.range(address)).end
        return { records: [], start: 0, end: from }
      }
    },
    async range(address) {
      const { start, end } = await log.range(address)
      return same(address, at) ? { start, end: end + ahead } : { start, end }
    },
    trim: (address, below) => log.trim(address, below),
    close: () => log.close(),
  }
}
