import { readdirSync, readFileSync } from 'node:fs'
import { isRefusalReason } from '@serverless-ai/rpc'
import { expect, it } from 'vitest'

/** The sources of the runtime: it knows no edge, so nothing else ties its reasons to the table. */
const SOURCES = new URL('../../runtime/src/', import.meta.url)
const REASON = /(?:reason: |exhausted\()'([A-Z][A-Z_]+)'/g

it('every reason that the runtime gives is one of the table', () => {
  const files = readdirSync(SOURCES).filter((name) => /^[a-z-]+\.ts$/.test(name))
  const reasons = files.flatMap((name) =>
    [...readFileSync(new URL(name, SOURCES), 'utf8').matchAll(REASON)].map((match) => match[1]!),
  )
  expect(new Set(reasons).size).toBeGreaterThan(10)
  expect(reasons.filter((reason) => !isRefusalReason(reason))).toEqual([])
})
