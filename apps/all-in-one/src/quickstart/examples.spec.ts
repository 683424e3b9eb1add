import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { list } from 'tar'
import { expect, it } from 'vitest'
import { packExample, QUICKSTART_EXAMPLES } from './examples.ts'

const APP = join(dirname(fileURLToPath(import.meta.url)), '../..')

async function namesIn(archive: Uint8Array): Promise<readonly string[]> {
  const names: string[] = []
  const reader = list({ onReadEntry: ({ path }) => void names.push(path) })
  const ended = new Promise((resolve) => reader.on('end', resolve))
  reader.end(Buffer.from(archive))
  await ended
  return names
}

it.each(QUICKSTART_EXAMPLES)('%s is compiled with the app, and packed', async (name) => {
  const { references } = JSON.parse(readFileSync(join(APP, 'tsconfig.json'), 'utf8'))
  expect(references).toContainEqual({ path: `../../examples/workloads/${name}` })
  expect(await namesIn(await packExample(name))).toContain('dist/main.js')
})
