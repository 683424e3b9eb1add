import { stripTypeScriptTypes } from 'node:module'
import { describe, expect, it } from 'vitest'
import { DEFECTS, defectOf } from './index.ts'
import { patched, patchedModules } from './patching.ts'

describe('the seeded defects', () => {
  it('are twenty at least, with names of their own', () => {
    expect(new Set(DEFECTS.map(({ name }) => name)).size).toBe(DEFECTS.length)
    expect(DEFECTS.length).toBeGreaterThanOrEqual(20)
  })

  it('resemble public mistakes of other systems, ten of them at least', () => {
    const links = DEFECTS.flatMap(({ source }) => source?.link ?? [])
    expect(links.length).toBeGreaterThanOrEqual(10)
    for (const link of links)
      expect(link).toMatch(/^https:\/\/github\.com\/[^/]+\/[^/]+\/\w+\/\d+$/)
  })

  it('each say where they show and who may find them', () => {
    for (const { scenarios, expect: checkers } of DEFECTS) {
      expect(scenarios.length).toBeGreaterThan(0)
      expect(checkers.length).toBeGreaterThan(0)
    }
  })

  it.each(DEFECTS.map(({ name }) => name))('%s still applies to the built product', (name) => {
    for (const [module, code] of patchedModules(defectOf(name))) {
      // Throws on what is no program.
      expect(stripTypeScriptTypes(code).length, module).toBeGreaterThan(0)
    }
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
