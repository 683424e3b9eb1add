// Writes what is made from the registry of metrics, below the directory that is named (default: the
// working directory).
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { telemetryDocuments } from './documents.ts'

const [, , root = '.'] = process.argv
for (const [path, content] of telemetryDocuments()) {
  const file = join(root, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}
