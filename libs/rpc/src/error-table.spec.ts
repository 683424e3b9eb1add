import { readFileSync } from 'node:fs'
import { RpcError, refuse } from '@serverless-ai/kernel'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CODE_NUMBERS } from './codes.ts'
import { ERROR_TABLE, httpStatusOf, refusalToError, rpcError } from './error-table.ts'
import { decodeStatus, encodeStatus, plainError } from './status.ts'

const codes = Object.keys(CODE_NUMBERS).filter((name) => name in CODE_NUMBERS)

describe('error table', () => {
  it('is what docs/reference/errors.md says', () => {
    const page = new URL('../../../docs/reference/errors.md', import.meta.url)
    const rows = readFileSync(page, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('| `'))
    const sorted = Object.entries(ERROR_TABLE).toSorted(([a], [b]) => (a < b ? -1 : 1))
    const expected = sorted.map(
      ([reason, [code, http, sentence]]) => `| \`${reason}\` | ${code} | ${http} | ${sentence} |`,
    )
    expect(rows).toEqual(expected)
  })

  it('names reasons in UPPER_SNAKE_CASE, with canonical codes and error statuses', () => {
    for (const [reason, [code, http]] of Object.entries(ERROR_TABLE)) {
      expect(reason).toMatch(/^[A-Z][A-Z_]+$/)
      expect(codes).toContain(code)
      expect(http).toBeGreaterThanOrEqual(400)
    }
  })

  it('turns a refusal with numbers into an error that names them', () => {
    const { refusal } = refuse('EXCEEDS_QUEUE_MAX', { want: 8, max: 4, queue: 'q' })
    const error = refusalToError(refusal)
    expect(error).toMatchObject({
      code: 'FAILED_PRECONDITION',
      metadata: { want: '8', max: '4', queue: 'q' },
    })
    expect(error.message).toContain('want=8, max=4, queue=q')
    expect(httpStatusOf(error)).toBe(422)
  })

  it('keeps a reason that is not in the catalogue', () => {
    const error = refusalToError(refuse('SOMETHING_NEW').refusal)
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'SOMETHING_NEW' })
    expect(httpStatusOf(error)).toBe(409)
    expect(httpStatusOf(plainError('UNAVAILABLE', 'x'))).toBe(503)
  })
})

describe('status on the wire', () => {
  it('carries every error back as it was', () => {
    const word = fc.string({ maxLength: 200, unit: 'grapheme' })
    const code = fc.constantFrom(...Object.values(ERROR_TABLE).map(([name]) => name))
    const error = fc.record({
      code,
      reason: fc.stringMatching(/^[A-Z][A-Z_]{1,30}$/),
      message: word,
      metadata: fc.dictionary(
        fc.stringMatching(/^[a-z][a-zA-Z]{0,20}$/).filter((key) => !(key in {})),
        word.filter((text) => text.length <= 256),
        { maxKeys: 8 },
      ),
      violations: fc.array(
        fc.record({ field: word.filter((t) => t.length <= 256), description: fc.constant('bad') }),
        { maxLength: 8 },
      ),
      retryAfterMs: fc.integer({ min: 0, max: 1e7 }),
    })
    fc.assert(
      fc.property(error, (init) => {
        const {
          code: found,
          reason,
          message,
          metadata,
          violations,
          retryAfterMs,
        } = decodeStatus(encodeStatus(new RpcError(init)))
        expect({ code: found, reason, message, metadata, violations, retryAfterMs }).toEqual(init)
      }),
    )
  })

  it('stays below what trailers may hold', () => {
    const long = 'x'.repeat(100_000)
    const violations = Array.from({ length: 500 }, () => ({ field: long, description: long }))
    const metadata = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, long]))
    const error = rpcError('INVALID_SPEC', { message: long, violations, metadata })
    expect(encodeStatus(error).length).toBeLessThan(20_000)
  })
})
