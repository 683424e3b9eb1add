import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, toolEnv } from '../paths.ts'
import { asyncApiDocument, asyncApiYaml } from './asyncapi.ts'
import { readCatalogue } from './catalogue.ts'
import { eventsPage } from './page.ts'

/** Folder of the documents, all of it generated. */
export const EVENTS_DOCS = join('docs', 'reference', 'events')

/** Generates the contract of the public events: descriptor set, AsyncAPI document, page. */
export function generateEvents(outRoot: string = ROOT): void {
  const folder = join(outRoot, EVENTS_DOCS)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'events.binpb')
  const flags = ['--path', 'proto/serverlessai/events', '-o', file, '--as-file-descriptor-set']
  execFileSync('buf', ['build', ...flags], { cwd: ROOT, env: toolEnv(), stdio: 'inherit' })
  const catalogue = readCatalogue(readFileSync(file))
  const protoOf = (path: string) => readFileSync(join(ROOT, 'proto', path), 'utf8')
  const yaml = asyncApiYaml(asyncApiDocument(catalogue, protoOf))
  writeFileSync(join(folder, 'asyncapi.yaml'), yaml)
  writeFileSync(join(folder, 'README.md'), eventsPage(catalogue))
}
