import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCheckers, SCENARIOS } from '@serverless-ai/sim'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../support/root.ts'
import { DEFECTS, defectOf } from './index.ts'
import { patched, patchedModules } from './patching.ts'

describe('the seeded defects', () => {
  it('are twenty, with names of their own', () => {
    expect(new Set(DEFECTS.map(({ name }) => name)).size).toBe(DEFECTS.length)
    expect(DEFECTS).toHaveLength(20)
  })

  it('resemble public mistakes of other systems, ten of them at least', () => {
    const links = DEFECTS.flatMap(({ source }) => source?.link ?? [])
    expect(links.length).toBeGreaterThanOrEqual(10)
    for (const link of links)
      expect(link).toMatch(/^https:\/\/github\.com\/[^/]+\/[^/]+\/\w+\/\d+$/)
  })

  it('each show in scenarios that there are, to checkers that there are', () => {
    const scenarios = SCENARIOS.map(({ name }) => name)
    const checkers = [...createCheckers(() => {}).names, 'stops', 'settles']
    for (const defect of DEFECTS) {
      expect(defect.scenarios.length * defect.expect.length).toBeGreaterThan(0)
      expect(scenarios, defect.name).toEqual(expect.arrayContaining([...defect.scenarios]))
      expect(checkers, defect.name).toEqual(expect.arrayContaining([...defect.expect]))
    }
  })

  it('stand in the README, in this order', () => {
    const readme = readFileSync(join(ROOT, 'tests/sim/README.md'), 'utf8')
    const named = [...readme.matchAll(/^\| `([a-z-]+)`/gm)].map(([, name]) => name)
    expect(named).toEqual(DEFECTS.map(({ name }) => name))
  })

  it.each(DEFECTS.map(({ name }) => name))('%s still applies to the built product', (name) => {
    expect(patchedModules(defectOf(name)).size).toBeGreaterThan(0)
  })
})

describe('a patch', () => {
  const patch = { module: 'm.js', find: 'a < b', put: 'a <= b' }

  it('replaces its text', () => {
    expect(patched('if (a < b) go()', [patch])).toBe('if (a <= b) go()')
  })

  it('takes its replacement as it is written', () => {
    expect(patched('x', [{ module: 'm.js', find: 'x', put: "$& $' $1" }])).toBe("$& $' $1")
  })

  it('fails where its text is not there, or there twice', () => {
    expect(() => patched('if (a > b) go()', [patch])).toThrow('m.js: this text occurs 0 times')
    expect(() => patched('a < b || a < b', [patch])).toThrow('m.js: this text occurs 2 times')
  })
})
