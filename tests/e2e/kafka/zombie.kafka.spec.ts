import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { foldLog } from '@serverless-ai/runtime/replay'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type BrokerCluster, startCluster } from '../../support/kafka-cluster.ts'
import { quietPorts } from '../../support/quiet-ports.ts'
import { until } from '../../support/until.ts'
import { makeLog, meansHere, open } from './cluster.ts'
import { ledger } from './ledger.ts'
import type { ChildInit, Order, Reply } from './ledger-child.ts'

const { jars } = await meansHere()
const REPLICAS = ['old', 'next']
const TIMEOUT_MS = 40_000

type Asked = Order extends infer One ? (One extends Order ? Omit<One, 'id'> : never) : never

/** A process of the ledger, as its parent sees it. */
class Child {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  #ids = 0

  constructor(init: ChildInit) {
    const main = join(import.meta.dirname, 'ledger-child.ts')
    const execArgv = ['--conditions=sai-source']
    this.#process = fork(main, [JSON.stringify(init)], { execArgv })
    this.#process.on('message', (reply: Reply) => this.#waiting.get(reply.id)?.(reply))
  }

  /** Sends at once; a process that is paused answers when it goes on. */
  ask(order: Asked): Promise<Reply> {
    this.#ids += 1
    const id = this.#ids
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.#process.send({ ...order, id })
    })
  }

  async add(key: string): Promise<string> {
    return (await this.ask({ order: 'add', key })).text
  }

  leads(): Promise<true> {
    const asking = async () => {
      const { text } = await this.ask({ order: 'role' })
      return text === 'Leading' ? (true as const) : undefined
    }
    return until('it leads', asking, { timeoutMs: TIMEOUT_MS })
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#process.kill(signal)
  }
}

describe.skipIf(jars === '')('a leader that is paused until another one has led', () => {
  let cluster: BrokerCluster
  let directory = ''
  let topicPrefix = ''
  let run = 0
  const children: Child[] = []

  beforeAll(async () => {
    cluster = await startCluster({ jars, brokers: 1 })
  }, 300_000)
  afterAll(() => cluster?.stop(), 60_000)
  beforeEach(async () => {
    run += 1
    topicPrefix = `zombie-${run}.`
    directory = mkdtempSync(join(tmpdir(), 'zombie-'))
    await makeLog({ ...cluster.connection, topicPrefix }, { replication: 1 })
  })
  afterEach(() => {
    for (const child of children.splice(0)) child.signal('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })

  const start = (replica: string, believes: boolean): Child => {
    const { brokers } = cluster.connection
    const base = { brokers, topicPrefix, replicas: REPLICAS, believes }
    const child = new Child({ ...base, replica, directory: join(directory, replica) })
    children.push(child)
    return child
  }

  /** Keys whose addition was acknowledged, and those that the log effectively holds. */
  const schedule = async (believes: boolean) => {
    const beganMs = performance.now()
    const old = start('old', believes)
    await old.leads()
    const acknowledged: string[] = []
    const add = async (child: Child, key: string): Promise<void> => {
      if ((await child.add(key)) === 'ok') acknowledged.push(key)
    }
    await add(old, 'before')
    const next = start('next', false)
    old.signal('SIGSTOP')
    // It waits in the channel of the paused process, as requests do in a socket.
    const late = add(old, 'late')
    await next.leads()
    await add(next, 'between')
    old.signal('SIGCONT')
    await late
    await add(next, 'after')
    const log = await open({ ...cluster.connection, topicPrefix })
    try {
      const { state } = await foldLog(ledger, { eventLog: log }, quietPorts)
      const seconds = (performance.now() - beganMs) / 1_000
      return { acknowledged, effective: state, seconds }
    } finally {
      await log.close()
    }
  }

  it('acknowledges nothing that is not in the log', async () => {
    const { acknowledged, effective } = await schedule(false)
    expect(acknowledged).toEqual(['before', 'between', 'after'])
    expect([...effective]).toEqual([
      ['before', 1],
      ['between', 1],
      ['after', 1],
    ])
  }, 180_000)

  it('loses what it acknowledged where acknowledgements of the brokers are believed', async () => {
    const { acknowledged, effective, seconds } = await schedule(true)
    expect(acknowledged).toEqual(['before', 'between', 'late', 'after'])
    expect(effective.has('late')).toBe(false)
    expect(effective.get('after')).toBe(1)
    expect(seconds).toBeLessThan(60)
  }, 180_000)
})
