import type { Hello } from '@serverless-ai/contracts/agent/v1/agent'
import { RecordingLogger } from '@serverless-ai/kernel/testing'
import { expect, test } from 'vitest'
import { AgentSession } from './agent-session.ts'
import { Heartbeats } from './heartbeats.ts'

const hello = (nodeId: string): Hello => ({
  nodeId,
  supervisorSession: 's1',
  protocol: 1,
  inventory: undefined,
  wallMs: 0n,
  highest: undefined,
})
const beat = (number: number) => ({ number: BigInt(number), sentBootMs: BigInt(number * 10) })

/** Heartbeats whose confirmations a test lets through one by one. */
function held() {
  const confirmations: PromiseWithResolvers<void>[] = []
  const confirm = (): Promise<void> => {
    const confirmation = Promise.withResolvers<void>()
    confirmations.push(confirmation)
    return confirmation.promise
  }
  const heartbeats = new Heartbeats({ confirm, leaseMs: 15_000, logger: new RecordingLogger() })
  return { heartbeats, confirmations }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Answers taken from a session as they come. */
function collect(session: AgentSession): bigint[] {
  const numbers: bigint[] = []
  void (async () => {
    for await (const { message } of session.outbox.messages()) {
      if (message?.$case === 'heartbeatAck') numbers.push(message.value.number)
    }
  })().catch(() => undefined)
  return numbers
}

test('no lease is renewed before a later commit was read back', async () => {
  const { heartbeats, confirmations } = held()
  const one = new AgentSession(hello('n1'))
  const two = new AgentSession(hello('n2'))
  const [ofOne, ofTwo] = [collect(one), collect(two)]
  heartbeats.receive(one, beat(1))
  await turn()
  expect([ofOne, ofTwo]).toEqual([[], []])
  // These came while the first confirmation was under way: it proves nothing for them.
  heartbeats.receive(two, beat(1))
  heartbeats.receive(one, beat(2))
  confirmations[0]?.resolve()
  await turn()
  expect([ofOne, ofTwo]).toEqual([[1n], []])
  expect(confirmations).toHaveLength(2)
  confirmations[1]?.resolve()
  await turn()
  expect([ofOne, ofTwo]).toEqual([[1n, 2n], [1n]])
})

test('a stream that was closed while its heartbeat waited gets no lease', async () => {
  const { heartbeats, confirmations } = held()
  const session = new AgentSession(hello('n1'))
  const answers: unknown[] = []
  session.outbox.setHeartbeatAck = (ack) => answers.push(ack)
  heartbeats.receive(session, beat(1))
  await turn()
  session.close('believed lost')
  confirmations[0]?.resolve()
  await turn()
  expect(answers).toEqual([])
})

test('a leader that cannot confirm ends the streams that wait', async () => {
  const { heartbeats, confirmations } = held()
  const session = new AgentSession(hello('n1'))
  heartbeats.receive(session, beat(1))
  await turn()
  confirmations[0]?.reject(new Error('fenced'))
  await turn()
  expect(session.closed).toBe(true)
  await expect(session.outbox.messages().next()).rejects.toMatchObject({ reason: 'NOT_LEADING' })
})
