// Breakage 16 of the log protocol: what becomes of a service whose client resets offsets silently.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EventLog } from '@serverless-ai/eventlog'
import { foldLog } from '@serverless-ai/runtime/replay'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { clusterAdmin } from '../../support/kafka-admin.ts'
import { type BrokerCluster, startCluster } from '../../support/kafka-cluster.ts'
import { quietPorts } from '../../support/quiet-ports.ts'
import { until } from '../../support/until.ts'
import { LOG, makeLog, meansHere, open } from './cluster.ts'
import { keysOf, ledger, ledgerOn } from './ledger.ts'
import { resetting } from './unprotected.ts'

const { jars } = await meansHere()
const TIMEOUT_MS = 40_000

describe.skipIf(jars === '')('a log that was restored from an older copy under a service', () => {
  let cluster: BrokerCluster
  let connection: BrokerCluster['connection']
  let directory = ''
  let run = 0
  const opened: EventLog[] = []

  beforeAll(async () => {
    cluster = await startCluster({ jars, brokers: 1 })
  }, 300_000)
  afterAll(() => cluster?.stop(), 60_000)
  beforeEach(async () => {
    run += 1
    connection = { ...cluster.connection, topicPrefix: `reset-${run}.` }
    directory = mkdtempSync(join(tmpdir(), 'reset-'))
    await makeLog(connection, { replication: 1 })
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((log) => log.close()))
    rmSync(directory, { recursive: true, force: true })
  })

  const openLog = async (): Promise<EventLog> => {
    const log = await open(connection)
    opened.push(log)
    return log
  }

  /** Writes nothing before `until`: what is restored must not get mixed with a claim. */
  const held = (log: EventLog, until: Promise<void>): EventLog => ({
    kind: log.kind,
    durability: log.durability,
    async append(address, entries) {
      await until
      return log.append(address, entries)
    },
    fetch: (address, options) => log.fetch(address, options),
    range: (address) => log.range(address),
    trim: (address, below) => log.trim(address, below),
    close: () => log.close(),
  })

  /** Puts the first `count` records into a topic that is made again. */
  const restore = async (count: number): Promise<void> => {
    const log = await openLog()
    const options = { from: 0, maxBytes: 1 << 20, waitMs: 0 }
    const { records } = await log.fetch(LOG, options)
    await clusterAdmin(connection).deleteTopic(`${connection.topicPrefix}${LOG.topic}`)
    await until(
      'the topic made again',
      async () => {
        await makeLog(connection, { replication: 1 })
        return (await log.range(LOG)).end === 0 ? true : undefined
      },
      { timeoutMs: TIMEOUT_MS },
    )
    for (const record of records.slice(0, count)) await log.append(LOG, [record])
  }

  const replicas = ['a', 'b']
  const boot = (log: EventLog, replica: string) =>
    ledgerOn(log, { replica, replicas, directory: join(directory, replica) })
  type Process = ReturnType<typeof boot>
  const leading = (runtime: Process): Promise<true> =>
    until(
      'it leads',
      () => {
        const { role, alarm } = runtime.status()
        if (alarm !== '') throw new Error(alarm)
        return role === 'Leading' ? true : undefined
      },
      { timeoutMs: TIMEOUT_MS },
    )

  /** `b` follows `a`; both lose the second half of the log; then `b` leads and takes a command. */
  const schedule = async (wrap: (log: EventLog) => EventLog) => {
    const a = boot(await openLog(), 'a')
    await a.start()
    await leading(a)
    const restored = Promise.withResolvers<void>()
    const b = boot(held(wrap(await openLog()), restored.promise), 'b')
    await b.start()
    await a.execute({ type: 'Add', key: 'kept' })
    const { end: middle } = await (await openLog()).range(LOG)
    await a.execute({ type: 'Add', key: 'lost' })
    const both = async () => ((await keysOf(b)).includes('lost') ? true : undefined)
    await until('b has read it', both, { timeoutMs: TIMEOUT_MS })
    // It ends without a word, as by SIGKILL: nothing but its log would tell.
    await opened[0]?.close()
    await restore(middle)
    restored.resolve()
    await leading(b)
    const answer = await b.execute({ type: 'Add', key: 'new' })
    const keys = await keysOf(b)
    const source = { eventLog: await openLog() }
    const folded = await foldLog(ledger, source, quietPorts).then(
      ({ state }) => [...state.keys()],
      () => [],
    )
    await b.stop()
    return { ok: answer.ok, keys, folded }
  }

  it('is noticed, and folded again: the service shows what the log holds', async () => {
    const { ok, keys, folded } = await schedule((log) => log)
    expect(ok).toBe(true)
    expect(keys).toEqual(['kept', 'new'])
    expect(folded).toEqual(keys)
  }, 180_000)

  it('would make the service diverge if its client went on by itself', async () => {
    const { ok, keys, folded } = await schedule((log) => resetting(log, LOG))
    expect(ok).toBe(true)
    // It answers with what is gone, and what it acknowledges nobody else can ever read.
    expect(keys).toEqual(['kept', 'lost', 'new'])
    expect(folded).not.toContain('new')
  }, 180_000)
})
