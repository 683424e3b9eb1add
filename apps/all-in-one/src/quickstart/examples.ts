import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { create } from 'tar'

/** Directory of the examples in this checkout. */
const EXAMPLES = join(dirname(fileURLToPath(import.meta.url)), '../../../../examples/workloads')

/** An example as a workspace: what runs, without what it was made of. */
export async function packExample(name: string): Promise<Uint8Array> {
  const cwd = join(EXAMPLES, name)
  const chunks: Uint8Array[] = []
  const entries = ['dist', 'data', 'package.json'].filter((entry) => existsSync(join(cwd, entry)))
  const skipped = /\.(spec\.js|map|d\.ts|tsbuildinfo)$/
  const filter = (path: string) => !skipped.test(path)
  const pack = create({ gzip: true, portable: true, cwd, filter }, entries)
  for await (const chunk of pack) chunks.push(chunk)
  return Buffer.concat(chunks)
}
