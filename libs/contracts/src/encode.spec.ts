import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeMessage } from './encode.ts'
import { Assignment } from './gen/serverlessai/agent/v1/agent.ts'

/** A task whose program is given these words. */
function assignment(command: readonly string[]): Assignment {
  const key = { jobId: 'j-1', gang: 1, generation: 1, rank: 0 }
  return { ...Assignment.fromPartial({ key }), command }
}

it('gives the bytes that a writer of its own gives, which nothing changes later', () => {
  const commands = fc.array(fc.array(fc.string({ maxLength: 500 })))
  fc.assert(
    fc.property(commands, (all) => {
      const messages = all.map(assignment)
      const encoded = messages.map((message) => encodeMessage(Assignment, message))
      const expected = messages.map((message) => Assignment.encode(message).finish())
      expect(encoded.map((bytes) => bytes.toString('hex'))).toEqual(
        expected.map((bytes) => Buffer.from(bytes).toString('hex')),
      )
    }),
  )
})

it('begins anew after a message that cannot be encoded', () => {
  const sound = assignment(['true'])
  const broken = { ...sound, cpuMillis: -1n }
  expect(() => encodeMessage(Assignment, broken)).toThrow('too large')
  expect(Assignment.decode(encodeMessage(Assignment, sound))).toMatchObject(sound)
})

it('does not keep the room that one large message took', () => {
  const large = assignment(['x'.repeat(200_000)])
  const bytes = encodeMessage(Assignment, large)
  expect(Assignment.decode(bytes)).toMatchObject(large)
  expect(bytes.buffer.byteLength).toBeLessThan(201_000)
})
