/** Which headers pass the gate, and which a request must not have at all. */

/** As Node gives them: lower-case names, list values only where several are allowed. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Most header lines of a request. */
export const HEADER_LINES_MAX = 100

/** RFC 9110, 7.6.1: of one connection alone. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** The gate's own: what a caller says there is not true, and its token is no business of a task. */
const OWN = new Set(['host', 'expect', 'authorization', 'forwarded', 'x-request-id'])

const named = (connection: Headers[string]): ReadonlySet<string> => {
  const text = typeof connection === 'string' ? connection : (connection?.join(',') ?? '')
  return new Set(text.split(',').map((name) => name.trim().toLowerCase()))
}

/**
 * Why header lines are refused; undefined = they are not. `lines`: names and values in turn, as
 * they came.
 */
export function headersProblem(
  lines: readonly string[],
): { readonly code: 'TOO_MANY_HEADERS' | 'HEADER_INVALID'; readonly why: string } | undefined {
  if (lines.length / 2 > HEADER_LINES_MAX) {
    return { code: 'TOO_MANY_HEADERS', why: `more than ${HEADER_LINES_MAX} header lines` }
  }
  const seen = new Map<string, number>()
  for (let at = 0; at < lines.length; at += 2) {
    const name = lines[at]!.toLowerCase()
    seen.set(name, (seen.get(name) ?? 0) + 1)
  }
  const invalid = (why: string) => ({ code: 'HEADER_INVALID', why }) as const
  if ((seen.get('content-length') ?? 0) > 1) return invalid('two content-length')
  if ((seen.get('host') ?? 0) > 1) return invalid('two host')
  if ((seen.get('transfer-encoding') ?? 0) > 1) return invalid('two transfer-encoding')
  if ((seen.get('authorization') ?? 0) > 1) return invalid('two authorization')
  if (seen.has('content-length') && seen.has('transfer-encoding')) {
    return invalid('content-length beside transfer-encoding')
  }
  return undefined
}

/** Headers of a request as a replica gets them, without what is said of the connection. */
export function requestHeaders(headers: Headers): Record<string, string | string[]> {
  const dropped = named(headers['connection'])
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || name.includes('_')) continue
    if (HOP_BY_HOP.has(name) || OWN.has(name) || dropped.has(name)) continue
    if (name.startsWith('x-sai-') || name.startsWith('x-forwarded-')) continue
    kept[name] = typeof value === 'string' ? value : [...value]
  }
  return kept
}

/** Headers of an answer as the caller gets them. */
export function answerHeaders(headers: Headers): Record<string, string | string[]> {
  const dropped = named(headers['connection'])
  const kept: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':')) continue
    if (HOP_BY_HOP.has(name) || dropped.has(name) || name === 'x-request-id') continue
    kept[name] = typeof value === 'string' ? value : [...value]
  }
  return kept
}

/** One value of a header, or undefined. */
export const oneOf = (value: Headers[string]): string | undefined =>
  typeof value === 'string' ? value : value?.[0]

/** True for a body that is not sent as it is: RFC 9110, 8.4. */
export function isEncoded(headers: Headers): boolean {
  const said = oneOf(headers['content-encoding'])?.trim().toLowerCase() ?? ''
  return said !== '' && said !== 'identity'
}
