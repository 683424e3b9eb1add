import { invariant } from './invariant.ts'

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
/** Random bytes that a UUIDv7 is made from. */
export const UUID_RANDOM_BYTES = 10

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')

/**
 * UUID version 7 (RFC 9562, section 5.7), lower case: 48 bits of time, then 74 bits of chance.
 *
 * @param wallMs ms since 1970, whole or not, 0 to 2^48 - 1
 * @param random 10 random bytes; 6 of their bits give way to version and variant
 */
export function uuidV7(wallMs: number, random: Uint8Array): string {
  const timeMs = Math.floor(wallMs)
  invariant(timeMs >= 0 && timeMs < 2 ** 48, `uuidV7: time out of range: ${wallMs}`)
  invariant(random.byteLength === UUID_RANDOM_BYTES, 'uuidV7: 10 random bytes are needed')
  const byte = (index: number): number => random[index]!
  const time = hex(timeMs, 12)
  const a = hex(0x7000 | ((byte(0) & 0x0f) << 8) | byte(1), 4)
  const b = hex(0x8000 | ((byte(2) & 0x3f) << 8) | byte(3), 4)
  const rest = [4, 5, 6, 7, 8, 9].map((index) => hex(byte(index), 2)).join('')
  return `${time.slice(0, 8)}-${time.slice(8)}-${a}-${b}-${rest}`
}

/** True for a UUIDv7 in its canonical, lower-case form. */
export function isUuidV7(id: string): boolean {
  return PATTERN.test(id)
}

/**
 * The time inside a UUIDv7, ms since 1970; undefined when `id` is none (lower case is demanded).
 */
export function uuidTimeMs(id: string): number | undefined {
  if (!isUuidV7(id)) return undefined
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
