import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { create } from 'tar'

/** Directory of the examples in this checkout. */
const EXAMPLES = join(dirname(fileURLToPath(import.meta.url)), '../../../../examples/workloads')

/** Those that the quickstart runs: `tsconfig.json` of this app names them, so a start has them. */
export const QUICKSTART_EXAMPLES = ['digits', 'digits-server'] as const

/**
 * An example as a workspace: what runs, without what it was made of.
 * @throws when it was not compiled
 */
export async function packExample(name: (typeof QUICKSTART_EXAMPLES)[number]): Promise<Uint8Array> {
  const cwd = join(EXAMPLES, name)
  const main = join(cwd, 'dist/main.js')
  if (!existsSync(main)) throw new Error(`${main} is missing: npm run build makes it`)
  const chunks: Uint8Array[] = []
  const entries = ['dist', 'data', 'package.json'].filter((entry) => existsSync(join(cwd, entry)))
  const skipped = /\.(spec\.js|map|d\.ts|tsbuildinfo)$/
  const filter = (path: string) => !skipped.test(path)
  const pack = create({ gzip: true, portable: true, cwd, filter }, entries)
  for await (const chunk of pack) chunks.push(chunk)
  return Buffer.concat(chunks)
}
