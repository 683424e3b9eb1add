import type { Clock, Randomness } from '@serverless-ai/kernel'

/** A UUIDv7 (RFC 9562, section 5.7): 48 bits of wall clock in ms, then random bits. */
export function uuidV7(clock: Clock, randomness: Randomness): string {
  const bytes = Buffer.from(randomness.bytes(16))
  bytes.writeUIntBE(Math.floor(clock.wallMs()), 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
