// Regenerates libs/contracts/src/gen from proto/: TypeScript and the descriptor set.
import { generate } from './lib/generate.ts'

generate()
