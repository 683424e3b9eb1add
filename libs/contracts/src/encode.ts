import { BinaryWriter } from '@bufbuild/protobuf/wire'

/** What generated code has for each message. */
interface Encoder<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter
}

/** A writer that has grown larger is not kept for the next message, bytes. */
const KEPT_MAX_BYTES = 64 * 1024

/** Used again and again: a new one would allocate, grow and copy for every message. */
let writer = new BinaryWriter()

/** Bytes of a message; nobody else holds them. The same message always gives the same bytes. */
export function encodeMessage<T>(encoder: Encoder<T>, message: T): Buffer {
  try {
    const bytes = encoder.encode(message, writer).finish()
    if (bytes.byteLength > KEPT_MAX_BYTES) writer = new BinaryWriter()
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } catch (error) {
    // What throws half way leaves something behind.
    writer = new BinaryWriter()
    throw error
  }
}
