import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '@serverless-ai/config'
import { applyTopics, planTopics } from '@serverless-ai/eventlog/kafka'
import { kafkaCluster } from '@serverless-ai/eventlog/testing/kafka'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ControlPlaneProcess, openPlatform, serviceConfig, systemPorts } from './index.ts'
import { counter } from './testing/counter.ts'

const cluster = kafkaCluster()
const ports = systemPorts('test', 'silent')
const SERVICES = ['scheduler']

describe.skipIf(cluster === undefined)('a process on Kafka', () => {
  const topicPrefix = `t${randomBytes(6).toString('hex')}.`
  const connection = { brokers: cluster?.brokers ?? [], topicPrefix, ports }
  const plan = planTopics({ services: SERVICES, replication: 1 })
  const open: (() => Promise<unknown>)[] = []
  let data = ''
  beforeEach(() => {
    data = mkdtempSync(join(tmpdir(), 'sai-hosting-kafka-'))
  })
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close()
    rmSync(data, { recursive: true, force: true })
  })

  const openReplica = (replica: string, ...more: string[]) => {
    const kafka = ['--kafka.brokers', connection.brokers.join(), '--kafka.replication-factor', '1']
    const argv = [...kafka, '--kafka.topic-prefix', topicPrefix, '--data', data, ...more]
    const config = loadConfig(serviceConfig, { argv: [...argv, '--replica', replica] })
    const { replicas, advertise } = config
    const base = { config, ports, tenants: [], nodes: [], peers: {}, required: [] }
    return openPlatform({ ...base, name: 'test', replicas, advertise, services: SERVICES })
  }

  it('does not start on topics that are missing or wrong, and names them all', async () => {
    await expect(openReplica('r1')).rejects.toMatchObject({
      name: 'LogStartError',
      message: expect.stringMatching(
        /^TOPICS_NOT_READY[\s\S]*log\.scheduler\.v1 does not exist: .*sai admin topics apply/,
      ),
    })
    const small = plan.map((topic) => ({
      ...topic,
      config: { ...topic.config, 'max.message.bytes': '1000000' },
    }))
    await applyTopics(connection, small)
    await expect(openReplica('r1')).rejects.toThrow(/max\.message\.bytes is 1000000, not \d+/)
    // How long public events are kept is not for a process to say.
    const eventsRetentionMs = 3 * 86_400_000
    await applyTopics(
      connection,
      planTopics({ services: SERVICES, replication: 1, eventsRetentionMs }),
    )
    const { options } = await openReplica('r1')
    open.push(() => options.eventLog.close())
    expect(options.eventLog.kind).toBe('kafka')
  })

  it('two replicas share log and tokens, and a claim names the advertised address', async () => {
    await applyTopics(connection, plan)
    const start = async (replica: string, port: number) => {
      const address = `127.0.0.1:${port}`
      const more = ['--port', String(port), '--replicas', 'r1,r2', '--advertise', address]
      const { options, credentials } = await openReplica(replica, ...more)
      const process = new ControlPlaneProcess({ ...options, listen: address })
      const runtime = process.kit.host.add(counter)
      await process.start()
      open.push(() => process.stop())
      return { runtime, credentials }
    }
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const first = await start('r1', port)
    const second = await start('r2', port + 1)
    expect(second.credentials.service).toBe(first.credentials.service)
    await expect.poll(() => first.runtime.status().leader, { timeout: 20_000 }).not.toBe('')
    const leading = first.runtime.status().leader === 'r1'
    const [leader, follower] = leading ? [first, second] : [second, first]
    const { position } = await leader.runtime.execute({ type: 'Add' })
    const read = await follower.runtime.read((state) => state.count, { minPosition: position })
    expect(read.value).toBe(1)
    await expect(follower.runtime.execute({ type: 'Add' })).rejects.toMatchObject({
      reason: 'NOT_LEADING',
      metadata: { leaderAddress: `127.0.0.1:${leading ? port : port + 1}` },
    })
  })
})
