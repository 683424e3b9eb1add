// Regenerates libs/contracts/src/gen (TypeScript, descriptor set) and docs/reference/events
// (AsyncAPI, descriptor set, page) from proto/.
import { generate } from './lib/generate.ts'

generate()
