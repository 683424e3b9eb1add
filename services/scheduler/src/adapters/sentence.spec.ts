import { describe, expect, it } from 'vitest'
import type { Reason, Shortfall } from '../core/types.ts'
import { reasonSentence } from './sentence.ts'

const short = (init: Partial<Shortfall>): Shortfall => ({
  dimension: 'devices',
  want: 40,
  free: 6,
  total: 6,
  nodeId: '',
  perTask: false,
  ...init,
})
const sentence = (code: Reason['code'], ...shortfalls: Shortfall[]) =>
  reasonSentence({ code, shortfalls, nodesTotal: 3, nodesFiltered: 0, untilMs: 0 })

describe('what can never be held', () => {
  it('is told by what there is, not by what is free', () => {
    expect(sentence('NO_MATCHING_NODE', short({ dimension: 'tasks' }), short({}))).toBe(
      'the fleet as it is can never hold it: room for 6 of 40 tasks even when nothing else runs; ' +
        '40 devices wanted, the fleet has 6',
    )
    expect(sentence('NO_MATCHING_NODE', short({ want: 3, total: 2, perTask: true }))).toBe(
      'the fleet as it is can never hold it: 3 devices per task wanted, the largest node has 2',
    )
    expect(sentence('EXCEEDS_QUEUE_MAX', short({ want: 8, total: 4 }))).toBe(
      'the gang alone is above the maximum of its queue: 8 devices wanted, the queue may hold 4',
    )
  })

  it('differs from what waits for others', () => {
    expect(sentence('CAPACITY_WAIT', short({ want: 4, free: 2 }))).toBe(
      'waits for capacity: 4 devices wanted, 2 of 6 free',
    )
  })
})
