/** SHA-256 (FIPS 180-4) of text in UTF-8, in hex: cores import no library. */

const K = new Uint32Array(64)
const INITIAL = new Uint32Array(8)

/** Constants of the standard: fractions of square and cube roots of the first primes. */
function fill(): void {
  let found = 0
  for (let candidate = 2; found < 64; candidate += 1) {
    if (!isPrime(candidate)) continue
    if (found < 8) INITIAL[found] = fraction(candidate, 2n)
    K[found] = fraction(candidate, 3n)
    found += 1
  }
}

function isPrime(n: number): boolean {
  for (let divisor = 2; divisor * divisor <= n; divisor += 1) if (n % divisor === 0) return false
  return true
}

const powerOf = (base: bigint, degree: bigint): bigint =>
  degree === 0n ? 1n : base * powerOf(base, degree - 1n)

/** By whole numbers: the root of p × 2^(32 × degree), less its whole part. */
function fraction(prime: number, degree: bigint): number {
  const wanted = BigInt(prime) << (32n * degree)
  let low = 0n
  let high = 1n << 40n
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (powerOf(middle, degree) <= wanted) low = middle
    else high = middle
  }
  return Number(low & 0xffffffffn)
}

fill()

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by))

function padded(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  const length = Math.ceil((bytes.length + 9) / 64) * 64
  const all = new Uint8Array(length)
  all.set(bytes)
  all[bytes.length] = 0x80
  const view = new DataView(all.buffer)
  view.setUint32(length - 8, Math.floor(bytes.length / 0x20000000))
  view.setUint32(length - 4, (bytes.length << 3) >>> 0)
  return all
}

function compress(state: Uint32Array, words: Uint32Array): void {
  const at = (array: Uint32Array, index: number): number => array[index] ?? 0
  for (let t = 16; t < 64; t += 1) {
    const [w15, w2] = [at(words, t - 15), at(words, t - 2)]
    const s0 = rotate(w15, 7) ^ rotate(w15, 18) ^ (w15 >>> 3)
    const s1 = rotate(w2, 17) ^ rotate(w2, 19) ^ (w2 >>> 10)
    words[t] = at(words, t - 16) + s0 + at(words, t - 7) + s1
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state
  for (let t = 0; t < 64; t += 1) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const one = (h + s1 + ((e & f) ^ (~e & g)) + at(K, t) + at(words, t)) | 0
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0]
  }
  for (const [index, value] of [a, b, c, d, e, f, g, h].entries()) {
    state[index] = at(state, index) + value
  }
}

export function sha256(text: string): string {
  const bytes = padded(text)
  const view = new DataView(bytes.buffer)
  const state = Uint32Array.from(INITIAL)
  const words = new Uint32Array(64)
  for (let from = 0; from < bytes.length; from += 64) {
    for (let t = 0; t < 16; t += 1) words[t] = view.getUint32(from + 4 * t)
    compress(state, words)
  }
  return [...state].map((word) => word.toString(16).padStart(8, '0')).join('')
}
