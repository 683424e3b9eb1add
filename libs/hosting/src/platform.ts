import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { Ports } from '@serverless-ai/kernel'
import {
  systemClock,
  systemDisk,
  systemRandomness,
  systemTimers,
} from '@serverless-ai/kernel/system'
import { openTlsFiles, type ServerTls } from '@serverless-ai/rpc'
import { createLogger, Metrics } from '@serverless-ai/telemetry'
import { type PlatformConfig, type ServiceConfig, VERSION } from './config.ts'
import {
  authenticateUsersWith,
  authenticateWith,
  type Credentials,
  openCredentials,
} from './credentials.ts'
import { openEventLog, retentionDaysOf, usesKafka } from './event-log.ts'
import type { PlatformOptions } from './options.ts'
import { openSnapshots } from './snapshots.ts'
import { openTelemetryBus } from './telemetry/open-bus.ts'
import { watchProcess } from './telemetry/process-metrics.ts'
import { openTracingOf } from './telemetry/tracing.ts'

const DAY_MS = 86_400_000
/** The cell that processes serve. */
const CELL = 0

/** The data directory cannot be made or written. The message names it and the mend. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError'
}

/** Clock, timers, randomness, disk and logger of this process. */
export function systemPorts(
  service: string,
  level: PlatformConfig['logLevel'],
  /** In log lines. Absent = in none. */
  replica?: string,
): Ports {
  return {
    clock: systemClock,
    timers: systemTimers,
    randomness: systemRandomness,
    disk: systemDisk,
    logger: createLogger({ service, level, ...(replica !== undefined && { replica }) }),
  }
}

/**
 * Makes a data directory with directories for the platform alone in it.
 * @throws DataDirectoryError
 */
export function makeDataDirectory(path: string, names: readonly string[]): void {
  try {
    // Tasks of other users pass through it to their own directories; the rest is nobody else's
    // business.
    mkdirSync(path, { recursive: true, mode: 0o711 })
    for (const name of names) {
      mkdirSync(join(path, name), { recursive: true, mode: 0o700 })
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new DataDirectoryError(
      `DATA_DIRECTORY_NOT_WRITABLE: ${path}: ${reason}; choose another one with --data DIR`,
    )
  }
}

/** @throws `TLS_MATERIAL_INVALID` */
async function openTls(
  config: ServiceConfig['tls'] | undefined,
  service: string | undefined,
  ports: Ports,
): Promise<ServerTls | undefined> {
  const { ca, cert, key, requireClientCertificate = false } = config ?? {}
  if (ca === undefined || cert === undefined || key === undefined) return undefined
  const files = { ca: resolve(ca), cert: resolve(cert), key: resolve(key) }
  const owner = service === undefined ? undefined : ({ kind: 'service', name: service } as const)
  const source = await openTlsFiles({ files, owner, ...ports })
  return { source, requireCertificate: requireClientCertificate }
}

/**
 * Opens what a process of the control plane stands on: data directory, tokens, log, snapshots.
 * @throws DataDirectoryError, CredentialsError, LogOpenError, LogStartError, ConfigError,
 *   RpcError (`TLS_MATERIAL_INVALID`): each names the file or the topic and the mend
 */
export async function openPlatform(init: {
  /** Name of the process in metrics and traces. Default `all-in-one`. */
  name?: string
  config: PlatformConfig
  ports: Ports
  tenants: readonly string[]
  nodes: readonly string[]
  peers: Readonly<Record<string, string>>
  required: readonly string[]
  /** Names of all replicas. Default: the own one alone. */
  replicas?: readonly string[]
  /** Where others reach this process. Default: where it listens. */
  advertise?: string | undefined
  /** Files of mutual TLS. Default: none. */
  tls?: ServiceConfig['tls']
  /** Services that it runs: their topics are checked. Default: all. */
  services?: readonly string[]
}): Promise<{ options: PlatformOptions; credentials: Credentials }> {
  const { config, name = 'all-in-one' } = init
  const { replica } = config
  const tracing = await openTracingOf(config.tracing, { service: name, replica, version: VERSION })
  const ports = tracing === undefined ? init.ports : { ...init.ports, tracer: tracing.tracer }
  const dataDir = resolve(config.data)
  const tls = await openTls(init.tls, init.name, ports)
  makeDataDirectory(dataDir, usesKafka(config) ? ['snapshots'] : ['log', 'snapshots'])
  const replicas = [...new Set([config.replica, ...(init.replicas ?? [])])].sort()
  const { tenants, nodes, services = SERVICE_NAMES, advertise } = init
  const { kafka } = config
  const metrics = new Metrics(name)
  const eventLog = await openEventLog({ kafka, dataDir, ports, replicas, services, metrics })
  watchProcess(metrics, { version: VERSION, replica, log: eventLog.kind })
  const { randomness } = ports
  const credentials = openCredentials({ dataDir, randomness, tenants, nodes })
  const options: PlatformOptions = {
    ports,
    eventLog,
    snapshots: await openSnapshots({ snapshots: config.snapshots, dataDir, ports }),
    replica,
    replicas,
    listen: `${config.host}:${config.port}`,
    ...(advertise === undefined ? {} : { advertise }),
    peers: init.peers,
    services,
    serviceToken: credentials.service,
    authenticate: (tls === undefined ? authenticateWith : authenticateUsersWith)(credentials),
    ...(tls === undefined ? {} : { tls }),
    insecureDev: config.insecureDev,
    partition: CELL,
    dataDir,
    version: VERSION,
    required: init.required,
    runtime: { retentionMs: retentionDaysOf(config) * DAY_MS },
    telemetry: await openTelemetryBus({ kafka, ports, partition: CELL, metrics }),
    metrics,
    ...(tracing && { closeTracing: tracing.close }),
  }
  return { options, credentials }
}
