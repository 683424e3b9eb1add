import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findRoot(from: string): string {
  return existsSync(join(from, 'pnpm-workspace.yaml')) ? from : findRoot(dirname(from))
}

/** Top of the checkout, from the sources as well as from the built output. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)))
