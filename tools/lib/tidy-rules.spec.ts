import { describe, expect, it } from 'vitest'
import { tidyFile, tidyTree } from './tidy-rules.ts'

const messages = (path: string, text: string) =>
  tidyFile(path, text).map((problem) => problem.message)

describe('tidy', () => {
  it('keeps time and chance out of cores, but not out of their specs or the app layer', () => {
    const clock = 'const a = Date.now()\n'
    const chance = 'const b = Math.random()\n'
    expect(messages('services/x/src/core/a.ts', clock + chance)).toHaveLength(2)
    expect(messages('services/x/src/core/a.spec.ts', clock)).toEqual([])
    expect(messages('services/x/src/app/a.ts', clock)).toEqual([])
  })

  it('keeps unportable maths out of cores', () => {
    expect(messages('services/x/src/core/a.ts', 'return Math.pow(a, b)')).toHaveLength(1)
    expect(messages('services/x/src/core/a.ts', 'return Math.max(a, b)')).toEqual([])
  })

  it('lets the environment be read by the configuration package alone', () => {
    const line = 'export const a = process.env.HOME'
    expect(messages('services/x/src/app/a.ts', line)).toHaveLength(1)
    expect(messages('libs/config/src/a.ts', line)).toEqual([])
  })

  it('refuses unfinished work, double casts and machine paths', () => {
    expect(messages('README.md', `later: TO${'DO'}`)).toHaveLength(1)
    expect(messages('libs/x/src/a.ts', ['a as', 'unknown as B'].join(' '))).toHaveLength(1)
    expect(messages('docs/a.md', `see ${'/ro'}${'ot/x'}`)).toHaveLength(1)
    expect(messages('docs/a.md', 'the word workload/rooted is fine')).toEqual([])
  })

  it('bounds files and lines', () => {
    expect(messages('libs/x/src/a.ts', 'x\n'.repeat(601))).toHaveLength(1)
    expect(tidyFile('libs/x/src/a.ts', 'x\n'.repeat(301))[0]?.severity).toBe('warning')
    expect(messages('services/x/src/main.ts', 'x\n'.repeat(61))).toHaveLength(1)
    expect(messages('libs/x/src/a.ts', 'x'.repeat(101))).toHaveLength(1)
    expect(messages('libs/x/src/a.ts', 'x'.repeat(100))).toEqual([])
  })

  it('keeps hosts out of the lock file', () => {
    expect(messages('pnpm-lock.yaml', 'resolution: {tarball: x}')).toHaveLength(1)
    expect(messages('pnpm-lock.yaml', 'resolution: {integrity: sha512-x}')).toEqual([])
  })

  it('asks every package for a README', () => {
    expect(tidyTree(['libs/a/package.json', 'libs/a/README.md'])).toEqual([])
    expect(tidyTree(['libs/a/package.json'])).toHaveLength(1)
  })
})
