import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERROR_TABLE } from '@serverless-ai/rpc'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

/** Sources of the product, by path. */
function sources(): Map<string, string> {
  const paths = globSync('{libs,services}/*/src/**/*.ts', { cwd: root }).filter(
    (path) => !/\.spec\.ts$|\/testing\/|\/gen\/|error-table/.test(path),
  )
  return new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]))
}

const RAISED = /\breason: '([A-Z][A-Z_]+)'|\brefuse\(\s*'([A-Z][A-Z_]+)'/g

test('every reason that the product raises is in the catalogue', () => {
  const unknown: string[] = []
  for (const [path, text] of sources()) {
    for (const [, error, refusal] of text.matchAll(RAISED)) {
      const reason = error ?? refusal ?? ''
      if (!(reason in ERROR_TABLE)) unknown.push(`${reason} (${path})`)
    }
  }
  expect(unknown).toEqual([])
})
