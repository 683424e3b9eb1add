import { describe, expect, it } from 'vitest'
import { kafkaTarget } from './connection.ts'
import type { FoundTopic } from './kafkajs-driver.ts'
import { compareTopics, planTopics } from './topics.ts'

const plan = planTopics({ services: ['scheduler'], cells: 2 })
/** The cluster exactly as planned. */
const asPlanned = (): FoundTopic[] =>
  plan.map((each) => ({ ...each, config: new Map(Object.entries(each.config)) }))

describe('plan of topics', () => {
  it('has a private log that keeps all and public events of 14 days for each service', () => {
    expect(
      plan.map(({ topic, partitions, replicationFactor, config }) => [
        topic,
        partitions,
        replicationFactor,
        config['retention.ms'],
      ]),
    ).toEqual([
      ['serverlessai.log.scheduler.v1', 2, 3, '-1'],
      ['serverlessai.events.scheduler.v1', 2, 3, '1209600000'],
    ])
  })

  it('keeps hours of measurements, of which any copy may lead', () => {
    const [topic, ...rest] = planTopics({ services: [], cells: 2, telemetry: true })
    expect(rest).toEqual([])
    expect(topic).toMatchObject({
      kind: 'telemetry',
      topic: 'serverlessai.telemetry.v1',
      partitions: 2,
      config: { 'retention.ms': '21600000', 'unclean.leader.election.enable': 'true' },
    })
  })

  it('asks for two in-sync copies of three, and one of one', () => {
    expect(plan[0]!.config['min.insync.replicas']).toBe('2')
    const single = planTopics({ services: ['scheduler'], replication: 1 })
    expect(single[0]!.config['min.insync.replicas']).toBe('1')
  })

  it('refuses numbers that cannot be meant', () => {
    for (const wrong of [{ cells: 0 }, { replication: 1.5 }, { eventsRetentionMs: 1000 }]) {
      expect(() => planTopics({ services: ['scheduler'], ...wrong })).toThrow(RangeError)
    }
  })
})

describe('comparison of topics', () => {
  it('finds nothing where all is as planned, or better', () => {
    expect(compareTopics(plan, asPlanned())).toEqual([])
    const better = asPlanned().map(({ config, ...rest }) => ({
      ...rest,
      replicationFactor: 4,
      config: new Map([
        ...config,
        ['max.message.bytes', '20000000'],
        ['retention.ms', '-1'],
        ['min.insync.replicas', '3'],
      ]),
    }))
    expect(compareTopics(plan, better)).toEqual([])
  })

  it('reports a missing topic with the command that makes it', () => {
    expect(compareTopics(plan, asPlanned().slice(1))).toMatchObject([
      { topic: 'serverlessai.log.scheduler.v1', setting: 'topic', applied: true },
    ])
  })

  it('reports that more copies must be in sync than there are', () => {
    const alone = planTopics({ services: ['scheduler'], replication: 1 })
    const found = alone.map(({ topic, partitions, config }) => ({
      topic,
      partitions,
      replicationFactor: 1,
      config: new Map([...Object.entries(config), ['min.insync.replicas', '2']]),
    }))
    expect(compareTopics(alone, found)).toMatchObject([
      { setting: 'min.insync.replicas', wanted: '1', found: '2', applied: true },
      { setting: 'min.insync.replicas', wanted: '1', found: '2', applied: true },
    ])
  })

  it.each([
    ['cleanup.policy', 'compact'],
    ['cleanup.policy', 'compact,delete'],
    ['unclean.leader.election.enable', 'true'],
    ['min.insync.replicas', '1'],
    ['max.message.bytes', '1048588'],
    ['retention.ms', '604800000'],
    ['retention.bytes', '1073741824'],
  ])('reports %s = %s, which apply mends', (setting, value) => {
    const [log, events] = asPlanned()
    const config = new Map([...log!.config, [setting, value]])
    const findings = compareTopics(plan, [{ ...log!, config }, events!])
    const wanted = plan[0]!.config[setting]
    expect(findings).toMatchObject([{ setting, wanted, found: value, applied: true }])
    expect(findings[0]!.mend).toContain('sai admin topics apply')
  })

  it('leaves to people what no command of ours can mend', () => {
    const [log, events] = asPlanned()
    const few = { ...log!, replicationFactor: 1 }
    const many = { ...events!, partitions: 3 }
    expect(compareTopics(plan, [few, many])).toMatchObject([
      { setting: 'replication', wanted: '3', found: '1', applied: false },
      { setting: 'partitions', wanted: '2', found: '3', applied: false },
    ])
  })
})

describe('connection', () => {
  it('fills in the defaults', () => {
    expect(kafkaTarget({ brokers: ['a:9092'] })).toMatchObject({
      clientId: 'serverless-ai',
      topicPrefix: '',
      requestTimeoutMs: 5000,
    })
  })

  it.each([
    { brokers: [] },
    { brokers: ['no-port'] },
    { brokers: ['a:9092'], topicPrefix: 'a/b' },
    { brokers: ['a:9092'], requestTimeoutMs: 10 },
    {
      brokers: ['a:9092'],
      sasl: { mechanism: 'plain' as const, username: 'u', password: 'p' },
    },
  ])('refuses %j', (connection) => {
    expect(() => kafkaTarget(connection)).toThrow(RangeError)
  })
})
