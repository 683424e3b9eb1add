import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isUuidV7, uuidTimeMs, uuidV7 } from './uuid.ts'

const random = fc.uint8Array({ minLength: 10, maxLength: 10 })
const timeMs = fc.integer({ min: 0, max: 2 ** 48 - 1 })

describe('uuidV7', () => {
  it('carries its time and is valid', () => {
    fc.assert(
      fc.property(timeMs, random, (ms, bytes) => {
        const id = uuidV7(ms, bytes)
        return isUuidV7(id) && uuidTimeMs(id) === ms
      }),
    )
  })

  it('matches the example of RFC 9562, appendix A.6', () => {
    const bytes = Uint8Array.from([0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f])
    expect(uuidV7(0x017f22e279b0, bytes)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
  })

  it('sorts by time', () => {
    fc.assert(
      fc.property(timeMs, timeMs, random, random, (a, b, x, y) => {
        if (a === b) return true
        return uuidV7(a, x) < uuidV7(b, y) === a < b
      }),
    )
  })

  it.each([
    '',
    '017f22e2-79b0-4cc3-98c4-dc0c0c07398f',
    '017f22e2-79b0-7cc3-c8c4-dc0c0c07398f',
    '017F22E2-79B0-7CC3-98C4-DC0C0C07398F',
    '017f22e279b07cc398c4dc0c0c07398f',
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n',
  ])('knows that %j is none', (text) => {
    expect(isUuidV7(text)).toBe(false)
    expect(uuidTimeMs(text)).toBeUndefined()
  })

  it('refuses times and bytes it cannot carry', () => {
    expect(() => uuidV7(-1, new Uint8Array(10))).toThrow('time')
    expect(() => uuidV7(2 ** 48, new Uint8Array(10))).toThrow('time')
    expect(() => uuidV7(0, new Uint8Array(9))).toThrow('random')
  })
})
