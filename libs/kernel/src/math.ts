// biome-ignore-all lint/correctness/noPrecisionLoss: the digits are those of the source
/**
 * Portable exp, log and pow: the same bits on every machine and engine, which `Math.exp`,
 * `Math.log` and `Math.pow` do not promise. Only + - * / on doubles (exact by IEEE 754) and moving
 * of their bits are used. Error about 1 ulp.
 *
 * Method and constants: FreeBSD msun / fdlibm, e_exp.c, e_log.c and e_pow.c: "Copyright (C) 1993,
 * 2004 by Sun Microsystems, Inc. All rights reserved. Permission to use, copy, modify, and
 * distribute this software is freely granted, provided that this notice is preserved."
 */

const view = new DataView(new ArrayBuffer(8))

const highWord = (x: number): number => {
  view.setFloat64(0, x)
  return view.getInt32(0)
}

/** `x` with another high word. */
const withHighWord = (x: number, high: number): number => {
  view.setFloat64(0, x)
  view.setInt32(0, high)
  return view.getFloat64(0)
}

/** `x` with the low 32 bits cleared: products of two such are exact. */
const withoutLowWord = (x: number): number => {
  view.setFloat64(0, x)
  view.setInt32(4, 0)
  return view.getFloat64(0)
}

/** 2^n for n in the normal range, -1022 to 1023. */
const powerOfTwo = (n: number): number => {
  view.setInt32(0, (n + 1023) << 20)
  view.setInt32(4, 0)
  return view.getFloat64(0)
}

/** x · 2^n, rounded once; n within ±2200. */
function scale(x: number, n: number): number {
  if (n > 1023) return scale(x * powerOfTwo(1023), n - 1023)
  if (n >= -1022) return x * powerOfTwo(n)
  // By way of 2^53 more, so that a subnormal result is rounded once only.
  return scale(x * powerOfTwo(-1022 + 53), n + 1022 - 53)
}

const LN2_HIGH = 6.9314718036912381649e-1
const LN2_LOW = 1.90821492927058770002e-10
const INVERSE_LN2 = Math.LOG2E
/** exp overflows above, underflows to 0 below. */
const EXP_MAX = 7.09782712893383973096e2
const EXP_MIN = -7.4513321910194110842e2

/** Remez polynomial of exp on ±0.34658 (e_exp.c); `t` is the square of the reduced argument. */
const expPolynomial = (t: number): number =>
  t *
  (1.66666666666666019037e-1 +
    t *
      (-2.77777777770155933842e-3 +
        t *
          (6.61375632143793436117e-5 +
            t * (-1.6533902205465251539e-6 + t * 4.13813679705723846039e-8))))

/** e^x. Infinity above 709.78, 0 below -745.13. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return x
  if (x > EXP_MAX) return Number.POSITIVE_INFINITY
  if (x < EXP_MIN) return 0
  const magnitude = x < 0 ? -x : x
  if (magnitude < 3.725290298461914e-9) return 1 + x
  const k = magnitude > 0.34657359027997264 ? Math.trunc(INVERSE_LN2 * x + (x < 0 ? -0.5 : 0.5)) : 0
  const high = x - k * LN2_HIGH
  const low = k * LN2_LOW
  const r = high - low
  const c = r - expPolynomial(r * r)
  if (k === 0) return 1 - ((r * c) / (c - 2) - r)
  return scale(1 - (low - (r * c) / (2 - c) - high), k)
}

/** Natural logarithm. -Infinity at 0, NaN below. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN
  if (x === Number.POSITIVE_INFINITY) return x
  const subnormal = x < 2.2250738585072014e-308
  let m = subnormal ? x * 18014398509481984 : x
  const word = highWord(m)
  // The mantissa is brought into [sqrt(2)/2, sqrt(2)).
  const fraction = word & 0xfffff
  const up = (fraction + 0x95f64) & 0x100000
  const k = (word >> 20) - 1023 + (up >> 20) - (subnormal ? 54 : 0)
  m = withHighWord(m, fraction | (up ^ 0x3ff00000))
  const f = m - 1
  const s = f / (2 + f)
  const z = s * s
  const w = z * z
  const odd =
    z *
    (6.66666666666673513e-1 +
      w * (2.857142874366239149e-1 + w * (1.818357216161805012e-1 + w * 1.479819860511658591e-1)))
  const even =
    w * (3.999999999940941908e-1 + w * (2.222219843214978396e-1 + w * 1.531383769920937332e-1))
  const half = 0.5 * f * f
  return k * LN2_HIGH - (half - (s * (half + odd + even) + k * LN2_LOW) - f)
}

/**
 * log2 of a positive normal or subnormal number as the sum of two doubles, the first with 21 bits
 * to spare (e_pow.c).
 */
function logTwo(magnitude: number): { high: number; low: number } {
  const subnormal = magnitude < 2.2250738585072014e-308
  const a = subnormal ? magnitude * 9007199254740992 : magnitude
  const word = highWord(a)
  const fraction = word & 0xfffff
  // Intervals around 1 and 1.5.
  const interval = fraction > 0x3988e && fraction < 0xbb67a ? 1 : 0
  const carry = fraction >= 0xbb67a ? 1 : 0
  const n = (word >> 20) - 1023 + carry - (subnormal ? 53 : 0)
  const x = withHighWord(a, (fraction | 0x3ff00000) - carry * 0x100000)
  const centre = interval === 1 ? 1.5 : 1
  const centreLogHigh = interval === 1 ? 5.84962487220764160156e-1 : 0
  const centreLogLow = interval === 1 ? 1.35003920212974897128e-8 : 0
  const u = x - centre
  const v = 1 / (x + centre)
  const s = u * v
  const sHigh = withoutLowWord(s)
  const sumHigh = withoutLowWord(x + centre)
  const sumLow = x - (sumHigh - centre)
  const sLow = v * (u - sHigh * sumHigh - sHigh * sumLow)
  const s2 = s * s
  const r =
    s2 *
      s2 *
      (5.99999999999994648725e-1 +
        s2 *
          (4.28571428578550184252e-1 +
            s2 *
              (3.33333329818377432918e-1 +
                s2 *
                  (2.72728123808534006489e-1 +
                    s2 * (2.30660745775561754067e-1 + s2 * 2.06975017800338417784e-1))))) +
    sLow * (sHigh + s)
  const square = sHigh * sHigh
  const tHigh = withoutLowWord(3 + square + r)
  const tLow = r - (tHigh - 3 - square)
  const p = sHigh * tHigh
  const q = sLow * tHigh + tLow * s
  const pHigh = withoutLowWord(p + q)
  const pLow = q - (pHigh - p)
  const zHigh = 9.61796700954437255859e-1 * pHigh
  const zLow = -7.02846165095275826516e-9 * pHigh + pLow * 9.61796693925975554329e-1 + centreLogLow
  const high = withoutLowWord(zHigh + zLow + centreLogHigh + n)
  return { high, low: zLow - (high - n - centreLogHigh - zHigh) }
}

/** 2^(high + low), |high + low| below 1100 (e_pow.c). */
function expTwo(high: number, low: number): number {
  const sum = high + low
  const n = sum >= -0.5 && sum <= 0.5 ? 0 : Math.floor(sum + 0.5)
  const rest = high - n
  const t = withoutLowWord(low + rest)
  const u = t * 6.93147182464599609375e-1
  const v = (low - (t - rest)) * 6.93147180559945286227e-1 + t * -1.90465429995776804525e-9
  const z = u + v
  const w = v - (z - u)
  const c = z - expPolynomial(z * z)
  return scale(1 - ((z * c) / (c - 2) - (w + z * w) - z), n)
}

/** |x|^y for x finite and not 0, 1 or negative, y finite and not 0. */
function powPositive(x: number, y: number): number {
  // Nothing but 1 is so near to 1 that a larger exponent could give a finite number other than 0.
  if (y > 1e20 || y < -1e20) return x > 1 === y > 0 ? Number.POSITIVE_INFINITY : 0
  const { high, low } = logTwo(x)
  const yHigh = withoutLowWord(y)
  const pLow = (y - yHigh) * high + y * low
  const pHigh = yHigh * high
  const z = pHigh + pLow
  if (z >= 1100) return Number.POSITIVE_INFINITY
  if (z <= -1100) return 0
  return expTwo(pHigh, pLow)
}

/** x^y with the special cases of ECMAScript's `**`. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN
  const magnitude = x < 0 ? -x : x
  if (!Number.isFinite(y)) {
    if (magnitude === 1) return Number.NaN
    return magnitude > 1 === y > 0 ? Number.POSITIVE_INFINITY : 0
  }
  const odd = Number.isInteger(y) && y % 2 !== 0
  const negative = odd && (x < 0 || Object.is(x, -0))
  if (magnitude === 0 || magnitude === Number.POSITIVE_INFINITY) {
    const result = (magnitude === 0) === y > 0 ? 0 : Number.POSITIVE_INFINITY
    return negative ? -result : result
  }
  if (x < 0 && !Number.isInteger(y)) return Number.NaN
  const result = magnitude === 1 ? 1 : powPositive(magnitude, y)
  return negative ? -result : result
}
