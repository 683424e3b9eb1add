import { accept, type Decider, refuse } from '@serverless-ai/kernel'
import { expect, test } from 'vitest'
import { spec } from './decider-spec.ts'

type Command = { readonly type: 'Add'; readonly n: number }
type Event = { readonly type: 'Added'; readonly n: number; readonly atMs: number }

const counter: Decider<{ sum: number }, Command, Event> = {
  initial: () => ({ sum: 0 }),
  decide: ({ n }, { sum }, { atMs }) =>
    sum + n > 9 ? refuse('TOO_MUCH', { sum, n }) : accept([{ type: 'Added', n, atMs }]),
  evolve: (state, { n }) => ({ sum: state.sum + n }),
  toJson: (state) => state,
  fromJson: (json) => json as { sum: number },
}
const add = (n: number): Command => ({ type: 'Add', n })

test('a batch evolves command after command', () => {
  spec(counter)
    .at(5)
    .when(add(2), add(3))
    .thenEvents({ type: 'Added', n: 2, atMs: 5 }, { type: 'Added' })
})

test('a refusal is seen with its numbers', () => {
  const given = spec(counter).given({ type: 'Added', n: 8, atMs: 1 })
  given.when(add(2)).thenRefused('TOO_MUCH', { sum: 8 })
  expect(() => given.when(add(2)).thenRefused('OTHER')).toThrow()
})

test('wrong or missing events do not pass', () => {
  expect(() => spec(counter).when(add(2)).thenEvents()).toThrow()
  expect(() => spec(counter).when(add(2)).thenEvents({ type: 'Added', n: 3 })).toThrow()
  expect(() => spec(counter).when(add(2)).thenNothing()).toThrow()
  expect(() => spec(counter).after(add(10))).toThrow('TOO_MUCH')
})
