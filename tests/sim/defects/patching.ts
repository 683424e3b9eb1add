/** Defects as text: what a compiled module becomes. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../../support/root.ts'
import type { Defect, Patch } from './types.ts'

/** The module with the replacements made. Throws when a text does not occur exactly once. */
export function patched(code: string, patches: readonly Patch[]): string {
  return patches.reduce((text, { module, find, put }) => {
    const pieces = text.split(find)
    if (pieces.length === 2) return pieces.join(put)
    const times = pieces.length - 1
    throw new Error(`${module}: this text occurs ${times} times instead of once: ${find}`)
  }, code)
}

/** Modules that the defect changes, by path from the top of the checkout. */
export function modulesOf({ patches }: Defect): ReadonlyMap<string, readonly Patch[]> {
  return Map.groupBy(patches, ({ module }) => module)
}

/** The changed text of the built modules. Throws when the product is not built, or has moved on. */
export function patchedModules(defect: Defect): ReadonlyMap<string, string> {
  const modules = [...modulesOf(defect)]
  return new Map(
    modules.map(([module, patches]) => {
      try {
        return [module, patched(readFileSync(join(ROOT, module), 'utf8'), patches)]
      } catch (error) {
        throw new Error(`the defect '${defect.name}' does not apply`, { cause: error })
      }
    }),
  )
}
