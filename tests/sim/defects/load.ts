/**
 * Preload (`node --import`): modules of the product are changed as they are loaded, by the defect
 * that `SAI_SIM_DEFECT` names. In each thread of the process.
 */
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { ROOT } from '../../support/root.ts'
import { defectOf } from './index.ts'
import { patchedModules } from './patching.ts'
import { DEFECT_VARIABLE } from './variable.ts'

const defect = defectOf(process.env[DEFECT_VARIABLE] ?? '')
const texts = [...patchedModules(defect)]
const byUrl = new Map(texts.map(([path, text]) => [pathToFileURL(join(ROOT, path)).href, text]))
const unused = new Set(byUrl.keys())

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    const source = byUrl.get(url)
    if (source === undefined) return loaded
    unused.delete(url)
    return { ...loaded, source, shortCircuit: true }
  },
})

// A defect whose module nobody loads finds nothing, and would look like a sound product.
process.on('exit', () => {
  if (!isMainThread || unused.size === 0) return
  console.error(`the defect '${defect.name}' was never loaded: ${[...unused].join(', ')}`)
  process.exitCode = 3
})
