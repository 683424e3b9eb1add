import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { readHttpRules } from '../../../libs/contracts/src/http-rules.ts'
import { ROOT } from '../paths.ts'
import { openApiDocument, openApiYaml } from './document.ts'
import { OPENAPI_FILE } from './generate-openapi.ts'

const text = readFileSync(join(ROOT, OPENAPI_FILE), 'utf8')
const set = readFileSync(join(ROOT, 'libs', 'contracts', 'src', 'gen', 'descriptors.binpb'))
const document = parse(text)

test('the document is the one that the protos give', () => {
  expect(text).toBe(openApiYaml(openApiDocument(set)))
})

test('the document is valid by the schema of OpenAPI 3.1', async () => {
  const validator = new Validator()
  expect(await validator.validate(structuredClone(document))).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
  const wrong = { ...document, paths: { '/v1/jobs': { get: { responses: 7 } } } }
  expect(await new Validator().validate(wrong)).toMatchObject({ valid: false })
})

test('each reference in the document leads somewhere', () => {
  const refs = [...text.matchAll(/\$ref: "?#\/([\w/.]+)"?/g)].map(([, at]) => at!)
  expect(refs.length).toBeGreaterThan(40)
  for (const at of refs) {
    const found = at.split('/').reduce((node, name) => node?.[name], document)
    expect(found, at).toBeDefined()
  }
})

test('every method for people can be called, with a summary and each field explained', () => {
  const { rules } = readHttpRules(set)
  const names = rules.map(({ method }) => method.name)
  for (const name of ['SubmitJob', 'WatchJob', 'CreateQueue', 'ListNodes', 'ReadLogs']) {
    expect(names).toContain(name)
  }
  expect(new Set(names).size).toBe(names.length)
  const operations = Object.values<Record<string, { summary: string }>>(document.paths).flatMap(
    (path) => Object.values(path),
  )
  expect(operations).toHaveLength(rules.length)
  for (const { summary } of operations) expect(summary.length).toBeGreaterThan(4)
  for (const [name, schema] of Object.entries<{ description: string }>(
    document.components.schemas,
  )) {
    expect(schema.description, name).not.toBe('')
  }
})

test('no path of the API is one of the API of OpenAI', () => {
  const taken = /^\/v1\/(chat|completions|embeddings|responses|models)(\/|$)/
  expect(Object.keys(document.paths).filter((path) => taken.test(path))).toEqual([])
})
