/**
 * What platforms of the suites run on: one process on the embedded log, or, with
 * `SAI_TEST_LOG=kafka`, a process for each replica of each service on the brokers of
 * `SAI_TEST_BROKERS`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Brokers of the suites that run on Kafka; empty = on the embedded log. */
export function testBrokers(): string {
  if (process.env['SAI_TEST_LOG'] !== 'kafka') return ''
  const brokers = process.env['SAI_TEST_BROKERS'] ?? ''
  if (brokers === '') throw new Error('SAI_TEST_LOG=kafka needs SAI_TEST_BROKERS=HOST:PORT')
  return brokers
}

/** True where platforms are several processes on Kafka. */
export const onKafka = (): boolean => process.env['SAI_TEST_LOG'] === 'kafka'

/**
 * How long to wait for what takes `ms` at most where one process has all services: nine processes
 * take longer to come up. For limits that end a test that hangs, not for what a test measures.
 */
export const patient = (ms: number): number => (onKafka() ? 4 * ms : ms)

/** A process of a platform on Kafka. */
export interface ServiceProcess {
  readonly name: string
  readonly service: string
  readonly replica: string
  readonly address: string
  /** `http://host:port`; `/readyz` is below it. */
  readonly health: string
  /** 0 = it does not run. */
  readonly pid: number
}

/** The processes of a platform as its data directory tells; none on the embedded log. */
export function serviceProcesses(dataDir: string): readonly ServiceProcess[] {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'processes.json'), 'utf8')).processes
  } catch {
    return []
  }
}

/** What stands before the topics of a platform that ran on a directory before; else undefined. */
export function topicPrefixOf(dataDir: string): string | undefined {
  const [first] = serviceProcesses(dataDir)
  if (first === undefined) return undefined
  const path = join(dataDir, 'processes', `${first.name}.json`)
  return JSON.parse(readFileSync(path, 'utf8')).kafka.topicPrefix
}
