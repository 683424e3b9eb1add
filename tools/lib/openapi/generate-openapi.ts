import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT } from '../paths.ts'
import { openApiDocument, openApiYaml } from './document.ts'

/** The generated document. */
export const OPENAPI_FILE = join('docs', 'reference', 'openapi.yaml')

/** Generates the OpenAPI document from a descriptor set with comments. */
export function generateOpenApi(descriptorSetFile: string, outRoot: string = ROOT): void {
  const file = join(outRoot, OPENAPI_FILE)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, openApiYaml(openApiDocument(readFileSync(descriptorSetFile))))
}
