import { describe, expect, it } from 'vitest'
import { HeapTime } from './time.ts'
import { RollingTrace } from './trace.ts'

const open = (): { time: HeapTime; trace: RollingTrace } => {
  const time = new HeapTime()
  return { time, trace: new RollingTrace(time, undefined) }
}

const digestOf = (feed: (trace: RollingTrace) => void): string => {
  const { trace } = open()
  feed(trace)
  return trace.digest()
}

describe('the trace', () => {
  it('hashes who, what, when and in which order, and no texts', async () => {
    const note =
      (who: string, facts: string, text = '') =>
      (trace: RollingTrace) =>
        trace.note(who, facts, () => text)
    const base = digestOf(note('ab', 'c'))
    expect(digestOf(note('ab', 'c', 'another text'))).toBe(base)
    expect(digestOf(note('a', 'bc'))).not.toBe(base)
    expect(digestOf(note('ab', 'd'))).not.toBe(base)
    const twice = (trace: RollingTrace): void => {
      note('ab', 'c')(trace)
      note('ab', 'c')(trace)
    }
    expect(digestOf(twice)).not.toBe(base)
    expect(digestOf((trace) => trace.hash(Buffer.from('c')))).not.toBe(base)
    const later = open()
    await later.time.runUntil(1)
    note('ab', 'c')(later.trace)
    expect(later.trace.digest()).not.toBe(base)
  })

  it('does not depend on when somebody asks, nor on how much it gathers', () => {
    const feed = (ask: boolean) => (trace: RollingTrace) => {
      for (let n = 0; n < 5_000; n += 1) {
        trace.note('é'.repeat(n % 7), `facts ${n}`, () => '')
        trace.hash(new Uint8Array(n % 50).fill(n))
        if (n === 2_500) trace.hash(new Uint8Array(100_000).fill(1))
        if (ask && n % 1_000 === 0) trace.digest()
      }
    }
    expect(digestOf(feed(true))).toBe(digestOf(feed(false)))
    const long = (end: string) =>
      digestOf((trace) => trace.note('', 'x'.repeat(9_000) + end, () => ''))
    expect(long('a')).not.toBe(long('ab'))
  })

  it('keeps the last 400 and makes their texts when it is asked', () => {
    const { trace } = open()
    let made = 0
    for (let n = 0; n < 1_000; n += 1) {
      trace.note('me', '', () => {
        made += 1
        return `${n}`
      })
    }
    expect(made).toBe(0)
    const last = trace.last()
    expect(last.map(({ text }) => text)).toEqual(
      Array.from({ length: 400 }, (_, n) => `${600 + n}`),
    )
    expect(last[0]).toEqual({ atMs: 0, event: 0, who: 'me', text: '600' })
    expect(made).toBe(400)
  })
})
