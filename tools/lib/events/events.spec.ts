import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { ROOT } from '../paths.ts'
import { asyncApiDocument, asyncApiYaml } from './asyncapi.ts'
import { readCatalogue } from './catalogue.ts'
import { EVENTS_DOCS } from './generate-events.ts'
import { eventsPage } from './page.ts'
import { SAMPLES } from './samples.ts'

const read = (name: string) => readFileSync(join(ROOT, EVENTS_DOCS, name))
const text = (name: string) => read(name).toString()
const catalogue = readCatalogue(read('events.binpb'))
const protoOf = (path: string) => readFileSync(join(ROOT, 'proto', path), 'utf8')
const document = parse(text('asyncapi.yaml'))

/** The published schema of AsyncAPI 3.0, and what it says about a document. */
function validator() {
  const path = createRequire(import.meta.url).resolve('@asyncapi/specs/schemas/3.0.0.json')
  // The file brings the schema of schemas itself, under the name of the built-in one.
  const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false })
  addFormats.default(ajv)
  const validate = ajv.compile(JSON.parse(readFileSync(path, 'utf8')))
  return (value: unknown) => (validate(value) ? [] : (validate.errors ?? []))
}

test('the documents are those that the protos give', () => {
  expect(text('asyncapi.yaml')).toBe(asyncApiYaml(asyncApiDocument(catalogue, protoOf)))
  expect(text('README.md')).toBe(eventsPage(catalogue))
})

test('the AsyncAPI document is valid by the schema of AsyncAPI 3', () => {
  const errorsOf = validator()
  expect(errorsOf(document)).toEqual([])
  expect(errorsOf({ ...document, channels: { scheduler: { address: 7 } } })).not.toEqual([])
})

test('each reference in the document leads somewhere', () => {
  const refs = [...text('asyncapi.yaml').matchAll(/\$ref: "?#\/([\w/]+)"?/g)].map(([, at]) => at!)
  expect(refs.length).toBeGreaterThan(20)
  for (const at of refs) {
    const found = at.split('/').reduce((node, name) => node?.[name], document)
    expect(found, at).toBeDefined()
  }
})

test('each example fits the headers of its message', () => {
  const ajv = new Ajv({ strict: false })
  addFormats.default(ajv)
  const fits = ajv.compile(document.components.schemas.headers)
  for (const owner of catalogue.owners) {
    for (const { name, type } of owner.events) {
      const { headers } = document.components.messages[name].examples[0]
      expect([fits(headers), headers.ce_type], name).toEqual([true, type])
    }
  }
})

test('there is an example of each event and of nothing else', () => {
  const names = catalogue.owners.flatMap(({ events }) => events.map(({ name }) => name))
  expect(Object.keys(SAMPLES).toSorted()).toEqual(names.toSorted())
})
