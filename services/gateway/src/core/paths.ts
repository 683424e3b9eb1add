/**
 * What a request line may look like, and where it leads. Everything else is refused, not mended.
 */

/** Longest target, characters. */
export const TARGET_MAX = 8_192

const NAME = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const SERVICE_PATH = new RegExp(`^/services/(${NAME})/(${NAME})(/.*)?$`)
const NAME_ONLY = new RegExp(`^${NAME}$`)

export const isName = (text: string): boolean => NAME_ONLY.test(text)

/** Why a target is not taken; undefined = it is. */
export function targetProblem(target: string): string | undefined {
  if (target.length > TARGET_MAX) return `it is longer than ${TARGET_MAX} characters`
  if (!target.startsWith('/')) return 'it is not a path'
  // Visible ASCII alone; `#` and `\` mean different things to different servers.
  if (!/^[\x21\x22\x24-\x5b\x5d-\x7e]+$/.test(target)) return 'it has a character no path has'
  const { path } = splitTarget(target)
  if (/%(?![0-9a-f]{2})/i.test(path)) return 'a percent sign begins no escape'
  // What a server behind may decode into another path.
  if (/%(00|2f|5c|0d|0a)/i.test(path)) return 'an escape hides a separator or a control character'
  if (path.startsWith('//')) return 'it begins with two slashes'
  const segments = path.replace(/%2e/gi, '.').split('/')
  // `..;` is `..` for servers that know path parameters.
  const dots = segments.some((segment) => /^\.{1,2}(;.*)?$/.test(segment))
  return dots ? 'it climbs (. or ..)' : undefined
}

/** Path and query (with its `?`, or empty). */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const at = target.indexOf('?')
  return at < 0
    ? { path: target, query: '' }
    : { path: target.slice(0, at), query: target.slice(at) }
}

/** Where `/services/<tenant>/<name>/…` leads: the service, and the target at its replica. */
export function servicePath(
  target: string,
): { readonly tenant: string; readonly name: string; readonly rest: string } | undefined {
  const { path, query } = splitTarget(target)
  const match = SERVICE_PATH.exec(path)
  if (match === null) return undefined
  const [, tenant = '', name = '', rest = '/'] = match
  return { tenant, name, rest: `${rest}${query}` }
}

/** The service of a host `<name>.<tenant>.<domain>`. */
export function serviceHost(
  authority: string,
  domain: string,
): { readonly tenant: string; readonly name: string } | undefined {
  const host = authority.replace(/:\d+$/, '').toLowerCase()
  if (domain === '' || !host.endsWith(`.${domain}`)) return undefined
  const labels = host.slice(0, -domain.length - 1).split('.')
  const [name = '', tenant = ''] = labels
  return labels.length === 2 && isName(name) && isName(tenant) ? { tenant, name } : undefined
}
