/** An amount as written, in the unit of the field; or what is wrong with it. */
export type Amount =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly problem: string }

const bad = (problem: string): Amount => ({ ok: false, problem })
const good = (value: number): Amount => ({ ok: true, value })

interface Units {
  /** Unit → factor to the unit of the field. */
  readonly factors: Readonly<Record<string, number>>
  /** `Mi, Gi or Ti, for example 512Mi`. */
  readonly hint: string
}

function withUnit(written: unknown, { factors, hint }: Units): Amount {
  if (typeof written === 'number') return bad(`needs a unit: ${hint}`)
  if (typeof written !== 'string') return bad(`must be an amount with a unit: ${hint}`)
  const match = /^([+-]?\d+(?:\.\d+)?)\s*([A-Za-zµ]*)$/.exec(written.trim())
  if (match === null) return bad(`"${short(written)}" is not an amount: ${hint}`)
  const [, digits = '', unit = ''] = match
  if (digits.startsWith('-')) return bad('must not be negative')
  if (unit === '') return bad(`needs a unit: ${hint}`)
  const factor = Object.hasOwn(factors, unit) ? factors[unit] : undefined
  if (factor === undefined) return bad(`the unit "${short(unit)}" is not known here: use ${hint}`)
  return good(Math.ceil(Number(digits) * factor))
}

const short = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)

function within(amount: Amount, range: { min: number; max: number; say: string }): Amount {
  if (!amount.ok || (amount.value >= range.min && amount.value <= range.max)) return amount
  return bad(`must be ${range.say}`)
}

const CPU_HINT = 'cores (2 or 0.5) or thousandths (500m)'

/** CPU in thousandths of a core: `500m`, `2`, `0.5`. */
export function parseCpu(written: unknown): Amount {
  const text = typeof written === 'number' ? String(written) : written
  if (typeof text !== 'string') return bad(`must be an amount of CPU: ${CPU_HINT}`)
  const match = /^([+-]?\d+(?:\.\d+)?)(?:e[+-]?\d+)?\s*([A-Za-z]*)$/.exec(text.trim())
  if (match === null) return bad(`"${short(text)}" is not an amount of CPU: ${CPU_HINT}`)
  const unit = match[2] ?? ''
  if (text.trim().startsWith('-')) return bad('must not be negative')
  if (unit !== '' && unit !== 'm') {
    return bad(`the unit "${short(unit)}" is not known here: use ${CPU_HINT}`)
  }
  const millis = unit === 'm' ? Number.parseFloat(text) : Number(text) * 1000
  return within(good(Math.ceil(millis)), { min: 1, max: 1e9, say: 'from 1m to 1000000 cores' })
}

const MEMORY = {
  factors: { Mi: 1, Gi: 1024, Ti: 1024 * 1024 },
  hint: 'Mi, Gi or Ti (powers of 1024), for example 512Mi',
}

/** Memory in MiB: `512Mi`, `2Gi`, `1Ti`. */
export function parseMemory(written: unknown): Amount {
  return within(withUnit(written, MEMORY), { min: 1, max: 1e9, say: 'from 1Mi to 953Ti' })
}

const BYTES = {
  factors: { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 },
  hint: 'Ki, Mi or Gi (powers of 1024), for example 16Mi',
}

/** Size of a log file in bytes: `64Ki`, `16Mi`, `1Gi`. */
export function parseLogSize(written: unknown): Amount {
  const range = { min: 64 * 1024, max: 1024 ** 3, say: 'from 64Ki to 1Gi' }
  return within(withUnit(written, BYTES), range)
}

const DURATION = {
  factors: { ms: 1, s: 1000, m: 60_000, h: 3_600_000 },
  hint: 'ms, s, m or h, for example 3s',
}

/** Duration in ms, at most one hour: `500ms`, `3s`, `2m`. */
export function parseDuration(written: unknown): Amount {
  return within(withUnit(written, DURATION), { min: 0, max: 3_600_000, say: 'from 0s to 1h' })
}
