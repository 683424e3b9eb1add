import { readFileSync } from 'node:fs'

/**
 * The serialized `google.protobuf.FileDescriptorSet` of every proto file and its imports, source
 * comments included. Server reflection answers from it.
 */
export function readDescriptorSet(): Uint8Array {
  // Reaches the same file from src/ (tests) and from dist/ (built output).
  return readFileSync(new URL('../src/gen/descriptors.binpb', import.meta.url))
}
