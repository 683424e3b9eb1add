import { systemTimers } from '@serverless-ai/kernel/system'
import type {
  StartedNetwork,
  StartedTestContainer,
  StoppedNetwork,
  StoppedTestContainer,
} from 'testcontainers'
import { expect, it } from 'vitest'
import { endAfter, endAll } from './ending.ts'
import { StartedServerlessAiEnvironment } from './environment.ts'
import { PlatformHandle } from './handle.ts'
import type { StartedKafkaBroker } from './kafka.ts'
import { StartedServerlessAiContainer } from './started-container.ts'

const TOKENS = JSON.stringify({ admin: 'a', tenants: { 'team-a': 'b', 'team-b': 'c' } })
const GRPC = {
  mediator: [7070],
  scheduler: [7070],
  'pool-manager': [7070],
  'fault-tolerance': [7070],
  'sla-monitor': [7070],
  autoscaler: [7070],
  'resource-profiler': [7070],
}
const INIT = { grpc: GRPC, lines: [], nodeIds: ['n1', 'n2'], retries: true, without: [] }

/** The part of something that a test needs of it. */
const fake = <T>(part: Partial<T>): T => part as T

/** A container that has started; `exec` says what its commands answer. */
function containerOf(exec: (words: readonly string[]) => string | Error) {
  const stopped: unknown[] = []
  const container = fake<StartedTestContainer>({
    getHost: () => 'localhost',
    getMappedPort: (port) => Number(port),
    exec: async (words) => {
      const answer = exec([words].flat())
      const failed = answer instanceof Error
      const output = failed ? answer.message : answer
      return { output, stdout: output, stderr: '', exitCode: failed ? 1 : 0 }
    },
    stop: async (options) => {
      stopped.push(options)
      return fake<StoppedTestContainer>({})
    },
  })
  return { container, stopped }
}

/** Can pause its nodes, and cannot resume them. */
const stuck = (words: readonly string[]): string | Error => {
  if (words[0] === 'cat') return TOKENS
  return words.includes('SIGCONT') ? new Error('no such process') : ''
}

it('a container stops, too, when a paused node cannot be resumed, and says so', async () => {
  const { container, stopped } = containerOf(stuck)
  const platform = await StartedServerlessAiContainer.in(container, INIT)
  await platform.pauseNode('n1')
  await expect(platform.stop()).rejects.toThrow('node n1 cannot be signalled: no such process')
  expect(stopped).toHaveLength(1)
})

it('a container whose tokens cannot be read is stopped by the start that fails', async () => {
  const { container, stopped } = containerOf(() => new Error('no such file'))
  const start = StartedServerlessAiContainer.in(container, INIT)
  await expect(start).rejects.toThrow('the tokens cannot be read: no such file')
  expect(stopped).toHaveLength(1)
})

it('broker and network end with an environment whose platform does not stop well', async () => {
  const { container, stopped } = containerOf(stuck)
  const platform = await StartedServerlessAiContainer.in(container, INIT)
  await platform.pauseNode('n2')
  const ended: string[] = []
  const broker = fake<StartedKafkaBroker>({
    stop: async () => {
      ended.push('broker')
      throw new Error('the broker hangs')
    },
  })
  const stop = async (): Promise<StoppedNetwork> => {
    ended.push('network')
    return fake<StoppedNetwork>({})
  }
  const network = fake<StartedNetwork>({ stop })
  const environment = new StartedServerlessAiEnvironment({ network, broker, platform })
  await expect(environment.stop()).rejects.toThrow(/n2 cannot be signalled.*the broker hangs/s)
  expect([stopped.length, ...ended]).toEqual([1, 'broker', 'network'])
})

it('clients close, and other nodes resume, when one node cannot be', async () => {
  const seen: string[] = []
  const handle = new PlatformHandle({
    ...INIT,
    target: 'localhost:1',
    targetOf: () => 'localhost:1',
    topicPrefix: '',
    tokens: { admin: 'a', 'team-a': 'b', 'team-b': 'c' },
    timers: systemTimers,
    connect: () => ({ close: async () => void seen.push('closed') }) as never,
    signalNode: async (nodeId, { name }) => {
      if (nodeId === 'n1' && name === 'CONT') throw new Error('n1 is stuck')
      seen.push(`${name} ${nodeId}`)
    },
    lastLines: async () => '',
  })
  handle.client('admin')
  for (const nodeId of handle.nodeIds()) await handle.pauseNode(nodeId)
  await expect(handle.release()).rejects.toThrow('n1 is stuck')
  expect(seen).toEqual(['STOP n1', 'STOP n2', 'CONT n2', 'closed'])
})

it('a failure that makes others keeps all of them', async () => {
  const fail = (what: string) => () => {
    throw new Error(what)
  }
  await expect(endAll([fail('one'), () => undefined])).rejects.toThrow(/^one$/)
  const both = endAfter(new Error('first'), [fail('second')])
  await expect(both).rejects.toThrow('Error: first; Error: second')
  await expect(both).rejects.toBeInstanceOf(AggregateError)
})

it('says where the brokers are, or why nobody can', async () => {
  const { container } = containerOf(stuck)
  const embedded = await StartedServerlessAiContainer.in(container, INIT)
  expect(() => embedded.getKafkaBootstrapServers()).toThrow('the log is embedded')
  const kafka = { network: 'kafka:19092' }
  const half = await StartedServerlessAiContainer.in(container, { ...INIT, kafka })
  expect(half.getKafkaBootstrapServers('network')).toBe('kafka:19092')
  expect(() => half.getKafkaBootstrapServers('host')).toThrow('withKafka(…, { host })')
  const both = { ...kafka, host: 'localhost:9' }
  const whole = await StartedServerlessAiContainer.in(container, { ...INIT, kafka: both })
  expect(whole.getKafkaBootstrapServers()).toBe('localhost:9')
})

it('says that a service was left out, instead of waiting for it', async () => {
  const { container } = containerOf(stuck)
  const without = ['autoscaler']
  const platform = await StartedServerlessAiContainer.in(container, { ...INIT, without })
  const waiting = platform.awaitPosition('autoscaler:0:3:1')
  await expect(waiting).rejects.toThrow('autoscaler was left out: see withServices')
})
