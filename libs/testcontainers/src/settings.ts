import {
  NEEDED_BY,
  OPTIONAL_SERVICES,
  type OptionalService,
  SERVICE_NAMES,
} from '@serverless-ai/contracts/services'
import type { Identity, NodeShape, TestService } from './platform.ts'
import { randomToken } from './ports.ts'

/** What a builder collects. */
export interface Settings {
  nodes: number
  shape: NodeShape
  config: Readonly<Record<string, unknown>>
  retries: boolean
  /** Services that do not run. */
  without: readonly OptionalService[]
  tokens: Readonly<Partial<Record<Identity, string>>>
  replayAlways: boolean
  tmpfs: boolean
}

/** Before anything was said. */
export const defaultSettings = (): Settings => ({
  nodes: 3,
  shape: {},
  config: {},
  retries: true,
  without: [],
  tokens: {},
  replayAlways: false,
  tmpfs: false,
})

/** Names of the nodes, as the all-in-one gives them. */
export const nodeIdsOf = ({ nodes }: Pick<Settings, 'nodes'>): readonly string[] =>
  Array.from({ length: nodes }, (_, index) => `n${index + 1}`)

/** Keys of the all-in-one's configuration. */
export function configOf(settings: Settings): Record<string, unknown> {
  const { nodes, shape, config, without, replayAlways } = settings
  const { gpu, count, memoryMib } = shape
  return {
    quickstart: false,
    nodes,
    ...(gpu !== undefined && { deviceModel: gpu }),
    ...(count !== undefined && { devicesPerNode: count }),
    ...(memoryMib !== undefined && { deviceMemoryMib: memoryMib }),
    ...(without.length > 0 && { without }),
    ...config,
    ...(replayAlways && { snapshots: { kind: 'none' } }),
  }
}

/**
 * What is left out when only these are wanted: neither named, nor needed by one that is.
 * @throws RangeError for a name that is none
 */
export function leftOut(named: readonly TestService[]): readonly OptionalService[] {
  const known: readonly string[] = [...new Set([...SERVICE_NAMES, ...OPTIONAL_SERVICES])]
  const strange = named.find((name) => !known.includes(name))
  if (strange !== undefined) {
    throw new RangeError(`no service ${strange}; there are: ${known.join(', ')}`)
  }
  return OPTIONAL_SERVICES.filter((service) => {
    const who = NEEDED_BY[service]
    return !named.includes(service) && (who === undefined || !named.includes(who))
  })
}

/** As the platform asks of tokens, and as they can stand in a header. */
const TOKEN = /^[\x21-\x7e]{16,}$/

/** Tokens with one more. @throws RangeError */
export function addToken(
  tokens: Settings['tokens'],
  { identity, token }: { readonly identity: Identity; readonly token: string },
): Settings['tokens'] {
  if (!TOKEN.test(token)) {
    throw new RangeError(`the token of ${identity} needs 16 or more characters without spaces`)
  }
  const other = Object.entries(tokens).find(([who, its]) => who !== identity && its === token)
  if (other !== undefined) throw new RangeError(`${other[0]} has the token of ${identity} already`)
  return { ...tokens, [identity]: token }
}

/**
 * Content of `tokens.json` before the first start; undefined = the platform makes it. It adds what
 * is missing: other tenants, nodes.
 */
export function tokensFile({ tokens }: Pick<Settings, 'tokens'>): string | undefined {
  const { admin = randomToken(24), ...tenants } = tokens
  if (Object.keys(tokens).length === 0) return undefined
  return JSON.stringify({ service: randomToken(24), admin, tenants, nodes: {} })
}
