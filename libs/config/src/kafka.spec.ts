import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { kafkaConfig, kafkaSettings } from './kafka.ts'
import { loadConfig } from './load.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sai-kafka-config-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const load = (...argv: string[]) =>
  loadConfig(z.object({ kafka: kafkaConfig.prefault({}) }), { argv }).kafka
const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

describe('configuration of Kafka', () => {
  it('names no broker, no TLS and no user by default', () => {
    const kafka = load()
    expect(kafka).toMatchObject({ brokers: [], topicPrefix: '', replicationFactor: 3 })
    expect(kafkaSettings(kafka)).toEqual({
      brokers: [],
      clientId: 'serverless-ai',
      topicPrefix: '',
      connectTimeoutMs: 2000,
      requestTimeoutMs: 5000,
    })
  })

  it('reads certificates and the password from their files', () => {
    const kafka = load(
      ...['--kafka.brokers', 'kafka-1:9092,[::1]:9092', '--kafka.topic-prefix', 'staging.'],
      ...['--kafka.tls.ca', file('ca.crt', 'CA\n'), '--kafka.tls.server-name', 'kafka.test'],
      ...['--kafka.tls.cert', file('a.crt', 'C'), '--kafka.tls.key', file('a.key', 'K')],
      ...['--kafka.sasl.mechanism', 'scram-sha-256', '--kafka.sasl.username', 'scheduler'],
      ...['--kafka.sasl.password-file', file('password', ' se\ncret \n')],
    )
    expect(kafkaSettings(kafka)).toMatchObject({
      brokers: ['kafka-1:9092', '[::1]:9092'],
      topicPrefix: 'staging.',
      tls: { ca: 'CA\n', cert: 'C', key: 'K', servername: 'kafka.test' },
      sasl: { mechanism: 'scram-sha-256', username: 'scheduler', password: ' se\ncret ' },
    })
  })

  it('believes the authorities of the system when TLS is only switched on', () => {
    expect(kafkaSettings(load('--kafka.tls.enabled')).tls).toEqual({})
  })

  it.each([
    [['--kafka.brokers', 'kafka-1'], /HOST:PORT/],
    [['--kafka.brokers', 'http://kafka-1:9092'], /HOST:PORT/],
    [['--kafka.topic-prefix', 'a b'], /letters/],
    [['--kafka.replication-factor', '0'], /replicationFactor|replication-factor/],
    [['--kafka.sasl.username', 'u'], /passwordFile[\s\S]*needs username, passwordFile/],
    [['--kafka.sasl.mechanism', 'plain'], /sasl\.mechanism/],
    [['--kafka.sasl.password', 'x'], /CONFIG_UNKNOWN_KEY/],
    [['--kafka.tls.cert', 'x.crt'], /key[\s\S]*needs cert, key/],
  ])('refuses %j', (argv, message) => {
    expect(() => load(...argv)).toThrow(message)
  })

  it('names every file that cannot be used', () => {
    const gone = join(directory, 'gone.crt')
    const config = load(
      ...['--kafka.tls.ca', gone, '--kafka.sasl.username', 'u'],
      ...['--kafka.sasl.password-file', file('empty', '\n')],
    )
    expect(() => kafkaSettings(config)).toThrow(/CONFIG_FILE_UNREADABLE.*gone\.crt/)
    expect(() => kafkaSettings(config)).toThrow(/CONFIG_FILE_SYNTAX.*kafka\.sasl\.passwordFile/)
  })
})
