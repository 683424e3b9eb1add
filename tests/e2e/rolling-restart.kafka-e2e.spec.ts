import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type PlatformClient } from '@serverless-ai/client'
import { Job_State } from '@serverless-ai/contracts/job/v1/job'
import { afterEach, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { untilJob } from '../support/digits.ts'
import { Platform } from '../support/platform.ts'
import { until } from '../support/until.ts'
import { prepareQueue } from './node-faults.ts'

const WORKERS = 3
const PAUSE_MS = 300

let platform: Platform | undefined
afterEach(() => platform?.close())

const manifest = (name: string): string =>
  stringify({
    apiVersion: 'serverlessai.job/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      queue: 'team-a',
      command: ['true'],
      resources: { cpu: '10m', memory: '16Mi' },
      waitForCapacity: true,
    },
  })

/** Users that submit, read and list all the time, by the published client and its rules. */
class Load {
  /** Acknowledged jobs: id to name. */
  readonly jobs = new Map<string, string>()
  readonly failures: string[] = []
  reads = 0
  readonly #client: PlatformClient
  #stopping = false
  #done: Promise<unknown> = Promise.resolve()

  constructor(client: PlatformClient) {
    this.#client = client
  }

  start(): void {
    this.#done = Promise.all(Array.from({ length: WORKERS }, (_, worker) => this.#work(worker)))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#done
  }

  async #work(worker: number): Promise<void> {
    for (let number = 1; !this.#stopping; number += 1) {
      const name = `rolling-${worker}-${number}`
      await this.#try(`submit ${name}`, () => this.#submitAndRead(name))
      await this.#try('list', () => this.#client.jobs.page({ pageSize: 5 }))
      await this.#try('queues', () =>
        this.#client.queues.listQueues({ pageSize: 10, pageToken: '', minPosition: '' }),
      )
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  async #submitAndRead(name: string): Promise<void> {
    const { job, position } = await this.#client.jobs.submit({ manifest: manifest(name) })
    this.jobs.set(job.jobId, name)
    const read = await this.#client.jobs.get(job.jobId, position)
    if (read.name !== name) throw new Error(`read ${read.name}`)
  }

  async #try(what: string, call: () => Promise<unknown>): Promise<void> {
    try {
      await call()
      this.reads += 1
    } catch (error) {
      this.failures.push(`${what}: ${String(error)}`)
    }
  }
}

/** SIGTERM to each process in order, each when the one before serves again. */
async function restartAll(running: Platform): Promise<void> {
  for (const { name, pid, health } of running.processes) {
    process.kill(pid, 'SIGTERM')
    await until(
      `${name} to serve again`,
      async () => {
        const now = running.processes.find((one) => one.name === name)?.pid ?? 0
        if (now === 0 || now === pid) return undefined
        return (await fetch(`${health}/readyz`)).ok ? true : undefined
      },
      { timeoutMs: 60_000, everyMs: 100 },
    )
  }
}

it('all replicas are restarted one after the other, and no request of a client fails', async () => {
  platform = await Platform.start({ nodes: 1, replicas: 2 })
  await prepareQueue(platform)
  const before = platform.processes
  const tokens = JSON.parse(readFileSync(join(platform.dataDir, 'tokens.json'), 'utf8'))
  await using client = connect({ address: platform.address, token: tokens.tenants['team-a'] })
  const load = new Load(client)
  load.start()
  await until('load', () => (load.jobs.size > WORKERS ? true : undefined), { timeoutMs: 30_000 })
  const jobsBefore = load.jobs.size
  await restartAll(platform)
  await load.stop()

  expect(load.failures).toEqual([])
  const after = platform.processes
  expect(after.map(({ name }) => name)).toEqual(before.map(({ name }) => name))
  for (const [index, { pid }] of after.entries()) expect(pid).not.toBe(before[index]?.pid)
  // There was load while they were restarted, and all of it was carried out once.
  expect(load.jobs.size).toBeGreaterThan(jobsBefore + before.length)
  const clients = platform.as('team-a')
  const ended = (job: { state: Job_State }) => job.state === Job_State.SUCCEEDED
  for (const jobId of load.jobs.keys()) await untilJob(clients, jobId, 'ends', ended, 120_000)
  const names: string[] = []
  for await (const { name } of client.jobs.list()) names.push(name)
  expect(names.sort()).toEqual([...load.jobs.values()].sort())
})
