import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { abortable, anySignal, onAbort } from './abort.ts'

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

describe('anySignal', () => {
  it('follows the first that is aborted, with its reason', () => {
    const a = new AbortController()
    const b = new AbortController()
    const joined = anySignal([a.signal, undefined, b.signal])
    expect(joined.signal.aborted).toBe(false)
    b.abort('because')
    expect(joined.signal.reason).toBe('because')
    expect([a, b].map((each) => listeners(each.signal))).toEqual([0, 0])
  })

  it('is aborted at once by an aborted one', () => {
    const a = new AbortController()
    expect(anySignal([a.signal, AbortSignal.abort('old')]).signal.reason).toBe('old')
    expect(listeners(a.signal)).toBe(0)
  })

  it('lets go of its signals when disposed', () => {
    const a = new AbortController()
    {
      using joined = anySignal([a.signal])
      expect(joined.signal.aborted).toBe(false)
      expect(listeners(a.signal)).toBe(1)
    }
    expect(listeners(a.signal)).toBe(0)
  })
})

describe('abortable', () => {
  it('gives what the promise gives', async () => {
    const { signal } = new AbortController()
    expect(await abortable(Promise.resolve(1), signal)).toBe(1)
    await expect(abortable(Promise.reject(new Error('no')), signal)).rejects.toThrow('no')
    expect(await abortable(Promise.resolve(1), undefined)).toBe(1)
  })

  it('does not gather listeners', async () => {
    const { signal } = new AbortController()
    for (let n = 0; n < 20; n += 1) await abortable(Promise.resolve(n), signal)
    expect(listeners(signal)).toBe(1)
  })

  it('rejects with the reason when aborted first', async () => {
    const abort = new AbortController()
    const result = abortable(new Promise(() => undefined), abort.signal)
    abort.abort(new Error('enough'))
    await expect(result).rejects.toThrow('enough')
    await expect(abortable(new Promise(() => undefined), abort.signal)).rejects.toThrow('enough')
  })
})

describe('onAbort', () => {
  it('calls who waits, in order, once', () => {
    const abort = new AbortController()
    const called: string[] = []
    onAbort(abort.signal, () => called.push('a'))
    onAbort(abort.signal, () => called.push('b'))
    abort.abort()
    abort.abort()
    expect(called).toEqual(['a', 'b'])
    onAbort(abort.signal, () => called.push('late'))
    expect(called).toEqual(['a', 'b', 'late'])
  })

  it('does not call who has let go, even from another listener', () => {
    const abort = new AbortController()
    const called: string[] = []
    onAbort(abort.signal, () => release())
    const release = onAbort(abort.signal, () => called.push('b'))
    const twice = (): number => called.push('c')
    onAbort(abort.signal, twice)()
    onAbort(abort.signal, twice)
    abort.abort()
    expect(called).toEqual(['c'])
  })
})
