import type { HttpRule } from '@serverless-ai/contracts'
import { rpcError } from '@serverless-ai/rpc'

/** A rule with what matches its path. */
interface Compiled {
  readonly rule: HttpRule
  readonly pattern: RegExp
}

export type Match =
  | {
      readonly at: 'Found'
      readonly rule: HttpRule
      readonly path: Readonly<Record<string, string>>
    }
  /** There is such a path, with other methods. */
  | { readonly at: 'OtherMethod'; readonly allow: readonly string[] }
  | { readonly at: 'None' }

/** A field is one segment, without the `:` that begins a custom verb. */
function compile(rule: HttpRule): Compiled {
  const escaped = rule.template
    .split(/\{[a-z0-9_]+\}/)
    .map((text) => text.replace(/[.*+?^$()|[\]\\]/g, '\\$&'))
  return { rule, pattern: new RegExp(`^${escaped.join('([^/:]+)')}$`) }
}

/** @throws `TARGET_INVALID`: escapes that are no UTF-8 */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw rpcError('TARGET_INVALID')
  }
}

/** Finds the rule of a path. */
export class RestRoutes {
  readonly #compiled: readonly Compiled[]

  constructor(rules: readonly HttpRule[]) {
    this.#compiled = rules.map(compile)
  }

  match(method: string, path: string): Match {
    const others: string[] = []
    for (const { rule, pattern } of this.#compiled) {
      const found = pattern.exec(path)
      if (found === null) continue
      const verb = rule.verb.toUpperCase()
      if (verb !== method && !(method === 'HEAD' && verb === 'GET')) {
        others.push(verb)
        continue
      }
      const values = found.slice(1).map(decoded)
      const entries = rule.pathFields.map((name, index) => [name, values[index] ?? ''] as const)
      return { at: 'Found', rule, path: Object.fromEntries(entries) }
    }
    return others.length > 0 ? { at: 'OtherMethod', allow: others } : { at: 'None' }
  }
}
