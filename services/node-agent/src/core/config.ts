import type { EmulatedAccelerators } from './inventory.ts'

/** Configuration of one node, shared by its supervisor and agent. A JSON file. */
export interface NodeConfig {
  /** Unique in the cell: letters, digits, `.`, `_`, `-`. */
  readonly nodeId: string
  /** State of the supervisor: journal, exit records, logs. Absolute path. */
  readonly nodeDir: string
  /** Task directories; users' processes must be able to reach it. Default `<nodeDir>/work`. */
  readonly workDir: string
  /** Checkpoints, shared by the nodes of a cell. Default `<workDir>/checkpoints`. */
  readonly checkpointDir: string
  /** `host:port` of the pool manager; of its replicas with commas between. */
  readonly poolAddress: string
  /**
   * `host:port` of the workspace service (the mediator); of its replicas with commas between.
   * Default: that of the pool manager.
   */
  readonly workspaceAddress: string
  /**
   * `host:port` of the resource profiler, which takes what the agent measures; of its replicas with
   * commas between. Empty (default) = nothing is measured.
   */
  readonly telemetryAddress: string
  /** Time between two samples of the node and its tasks, ms, 100 to 60,000. Default 1,000. */
  readonly telemetryPeriodMs: number
  /**
   * URL of the metrics of `dcgm-exporter`, which is asked instead of `nvidia-smi`. Empty (default)
   * = there is none.
   */
  readonly dcgmUrl: string
  /**
   * PEM file with the authorities that the agent trusts. Mutual TLS: all three files, or none
   * (default, empty). Read again every 10 s.
   */
  readonly tlsCa: string
  /** PEM file with the certificate of the node: `spiffe://<trust-domain>/node/<nodeId>`. */
  readonly tlsCert: string
  /** PEM file with the private key of the certificate. */
  readonly tlsKey: string
  /** Token of the node. With a certificate none is needed. */
  readonly token: string
  /** Address other tasks reach this node at. Default 127.0.0.1. */
  readonly address: string
  /** Thousandths of a core given to tasks, 0 (default) = all of the machine. */
  readonly cpuMillis: number
  /** MiB given to tasks, 0 (default) = all of the machine. */
  readonly memoryMib: number
  /** Emulated accelerators, for development. Default none. */
  readonly emulated: readonly EmulatedAccelerators[]
  /** First port of the range for tasks. Default 21,000. */
  readonly portFirst: number
  /** Last port of the range for tasks. Default 21,999. */
  readonly portLast: number
  /** First uid of the range for tenants. Default 200,000. */
  readonly uidBase: number
  /** Length of that range. Default 10,000. */
  readonly uidSize: number
  /** Where tenants' uids are recorded; nodes that share checkpoints share it. */
  readonly uidFile: string
  /** Directory put first into the PATH of tasks, with `node` in it. Default: that of this Node. */
  readonly nodeBinDir: string
  /** Ended executions whose logs and files are kept. Default 100, range 0 to 10,000. */
  readonly keepEnded: number
  /** Labels, for people and constraints. */
  readonly labels: Readonly<Record<string, string>>
}

/** What {@link parseNodeConfig} needs: the rest has defaults. */
export type NodeConfigInput = Pick<NodeConfig, 'nodeId' | 'nodeDir' | 'poolAddress'> &
  Partial<NodeConfig>

type Check<T> = (value: unknown) => T | undefined
interface Field<T> {
  readonly check: Check<T>
  readonly want: string
  readonly fallback?: (config: Partial<NodeConfig>) => T
}

const text =
  (pattern: RegExp): Check<string> =>
  (value) =>
    typeof value === 'string' && pattern.test(value) ? value : undefined

const whole =
  (min: number, max: number): Check<number> =>
  (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined

const path: Check<string> = text(/^\/[^\0]{0,4000}$/)
const pathOrNone: Check<string> = text(/^(\/[^\0]{0,4000})?$/)
const orNone =
  (check: Check<string>): Check<string> =>
  (value) =>
    value === '' ? '' : check(value)
const url: Check<string> = text(/^http:\/\/[^\s]{1,1000}$/)
const hostPorts: Check<string> = text(/^[^\s/,]{1,255}:\d{1,5}(,[^\s/,]{1,255}:\d{1,5}){0,15}$/)

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const labels: Check<Record<string, string>> = (value) => {
  if (!isRecord(value) || Object.keys(value).length > 64) return undefined
  const found: Record<string, string> = {}
  for (const [key, label] of Object.entries(value)) {
    if (typeof label !== 'string') return undefined
    found[key] = label
  }
  return found
}

const emulated: Check<readonly EmulatedAccelerators[]> = (value) => {
  if (!Array.isArray(value) || value.length > 16) return undefined
  const groups: EmulatedAccelerators[] = []
  for (const item of value) {
    if (!isRecord(item)) return undefined
    const count = whole(1, 64)(item.count)
    const model = text(/^[A-Za-z0-9][\w ./-]{0,63}$/)(item.model)
    const memoryMib = whole(1, 100_000_000)(item.memoryMib)
    if (count === undefined || model === undefined || memoryMib === undefined) return undefined
    const { cpuMillis: quota } = item
    const cpuMillis = quota === undefined ? undefined : whole(10, 1_000_000)(quota)
    if (quota !== undefined && cpuMillis === undefined) return undefined
    if (Object.keys(item).length !== (cpuMillis === undefined ? 3 : 4)) return undefined
    groups.push({ count, model, memoryMib, ...(cpuMillis === undefined ? {} : { cpuMillis }) })
  }
  return groups
}

const directory = 'an absolute path'
const port = 'a port, 1024 to 65535'

function fields(defaultBinDir: string): { readonly [K in keyof NodeConfig]: Field<NodeConfig[K]> } {
  return {
    nodeId: { check: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/), want: 'a name like node-1' },
    nodeDir: { check: path, want: directory },
    workDir: { check: path, want: directory, fallback: (c) => `${c.nodeDir}/work` },
    checkpointDir: { check: path, want: directory, fallback: (c) => `${c.workDir}/checkpoints` },
    poolAddress: { check: hostPorts, want: 'host:port, or several with commas between' },
    workspaceAddress: {
      check: hostPorts,
      want: 'host:port, or several with commas between',
      fallback: (c) => c.poolAddress ?? '',
    },
    telemetryAddress: {
      check: orNone(hostPorts),
      want: 'host:port, or several with commas between',
      fallback: () => '',
    },
    telemetryPeriodMs: { check: whole(100, 60_000), want: '100 to 60,000', fallback: () => 1_000 },
    dcgmUrl: { check: orNone(url), want: 'http://host:port/metrics', fallback: () => '' },
    tlsCa: { check: pathOrNone, want: directory, fallback: () => '' },
    tlsCert: { check: pathOrNone, want: directory, fallback: () => '' },
    tlsKey: { check: pathOrNone, want: directory, fallback: () => '' },
    token: { check: text(/^[\x21-\x7e]{0,4096}$/), want: 'a token', fallback: () => '' },
    address: { check: text(/^[^\s/]{1,255}$/), want: 'an address', fallback: () => '127.0.0.1' },
    cpuMillis: { check: whole(0, 1e9), want: 'thousandths of a core', fallback: () => 0 },
    memoryMib: { check: whole(0, 1e9), want: 'MiB', fallback: () => 0 },
    emulated: {
      check: emulated,
      want: 'a list of {count, model, memoryMib, cpuMillis (10 or more, may be left out)}',
      fallback: () => [],
    },
    portFirst: { check: whole(1024, 65_535), want: port, fallback: () => 21_000 },
    portLast: { check: whole(1024, 65_535), want: port, fallback: () => 21_999 },
    uidBase: {
      check: whole(1000, 2_147_483_647),
      want: 'a uid above 999',
      fallback: () => 200_000,
    },
    uidSize: { check: whole(1, 1e6), want: '1 to 1,000,000', fallback: () => 10_000 },
    uidFile: { check: path, want: directory, fallback: (c) => `${c.nodeDir}/tenants-uid.json` },
    nodeBinDir: { check: path, want: directory, fallback: () => defaultBinDir },
    keepEnded: { check: whole(0, 10_000), want: '0 to 10,000', fallback: () => 100 },
    labels: { check: labels, want: 'at most 64 names with texts', fallback: () => ({}) },
  }
}

/** A configuration, or every problem it has: key, what is wrong, what is wanted. */
export type ParsedConfig =
  | { readonly ok: true; readonly config: NodeConfig }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Checks a configuration and fills in defaults. By hand: a schema library would cost the agent
 * and the supervisor 15 MiB each.
 *
 * @param defaultBinDir directory of the Node that runs.
 */
export function parseNodeConfig(value: unknown, defaultBinDir: string): ParsedConfig {
  if (!isRecord(value)) return { ok: false, problems: ['the configuration is no JSON object'] }
  const known = fields(defaultBinDir)
  const problems = Object.keys(value)
    .filter((key) => !Object.hasOwn(known, key))
    .map((key) => `${key}: no such key; known are ${Object.keys(known).join(', ')}`)
  const config: Partial<NodeConfig> = {}
  const take = <K extends keyof NodeConfig>(key: K, field: Field<NodeConfig[K]>) => {
    const given = value[key]
    const found = given === undefined ? field.fallback?.(config) : field.check(given)
    if (found !== undefined) config[key] = found
    else if (given === undefined) problems.push(`${key}: missing; give ${field.want}`)
    else {
      const shown = key === 'token' ? 'the value' : JSON.stringify(given)
      problems.push(`${key}: ${shown} is not usable; give ${field.want}`)
    }
  }
  for (const key of Object.keys(known)) if (isKey(known, key)) take(key, pick(known, key))
  problems.push(...credentialProblems(config))
  if (isComplete(config, known) && problems.length === 0) {
    if (config.portLast >= config.portFirst) return { ok: true, config: Object.freeze(config) }
    problems.push(`portLast: ${config.portLast} is below portFirst ${config.portFirst}`)
  }
  return { ok: false, problems }
}

/** All three files of TLS or none, and one way at least to say who the node is. */
function credentialProblems(config: Partial<NodeConfig>): string[] {
  const { tlsCa = '', tlsCert = '', tlsKey = '', token } = config
  const missing = Object.entries({ tlsCa, tlsCert, tlsKey }).filter(([, file]) => file === '')
  if (missing.length === 0) return []
  if (missing.length < 3) {
    return missing.map(([key]) => `${key}: missing; TLS needs tlsCa, tlsCert and tlsKey, or none`)
  }
  return token === ''
    ? ['token: missing; give a token, or a certificate (tlsCa, tlsCert, tlsKey)']
    : []
}

type Fields = ReturnType<typeof fields>

function isKey(known: Fields, key: string): key is keyof NodeConfig {
  return Object.hasOwn(known, key)
}

function pick<K extends keyof NodeConfig>(known: Fields, key: K): Field<NodeConfig[K]> {
  const field: Fields[K] = known[key]
  return field
}

function isComplete(config: Partial<NodeConfig>, known: Fields): config is NodeConfig {
  return Object.keys(known).every((key) => Object.hasOwn(config, key))
}
