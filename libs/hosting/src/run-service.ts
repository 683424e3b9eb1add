import 'reflect-metadata'
import type { DynamicModule, INestApplicationContext } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { ConfigError, EXIT_CONFIG, loadConfigOrExit } from '@serverless-ai/config'
import { LogOpenError } from '@serverless-ai/eventlog'
import { type Ports, RpcError } from '@serverless-ai/kernel'
import { FeatureLevelError, HistoryLostError } from '@serverless-ai/runtime'
import type { z } from 'zod'
import type { serviceConfig } from './config.ts'
import { CredentialsError } from './credentials.ts'
import { LogStartError } from './event-log.ts'
import type { PlatformOptions } from './options.ts'
import { PlatformModule, startServices } from './platform.module.ts'
import { DataDirectoryError, openPlatform, systemPorts } from './platform.ts'
import type { ServiceKit } from './service-kit.ts'
import { tellSlow } from './slow-start.ts'
import { SERVICE_KIT } from './tokens.ts'

/** Exit status when a resource that is needed cannot be used (EX_UNAVAILABLE of sysexits.h). */
export const EXIT_UNAVAILABLE = 69

/** The HTTP port cannot be listened on. The message names it and the mend. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Errors whose message is the whole story: no stack for people. */
export function isStartError(error: unknown): error is Error {
  return (
    error instanceof ListenError ||
    error instanceof DataDirectoryError ||
    error instanceof CredentialsError ||
    error instanceof LogOpenError ||
    error instanceof LogStartError ||
    error instanceof FeatureLevelError ||
    error instanceof HistoryLostError ||
    error instanceof ConfigError ||
    error instanceof RpcError
  )
}

/** Exit status of a main whose start failed with an {@link isStartError}. */
export const exitStatusOf = (error: Error): number =>
  error instanceof ConfigError ? EXIT_CONFIG : EXIT_UNAVAILABLE

class RootModule {}

/**
 * A Nest application over the shared providers and the given service modules; HTTP is not listening
 * yet.
 */
export async function createPlatformApp(
  platform: DynamicModule,
  services: readonly DynamicModule[],
): Promise<NestFastifyApplication> {
  const root: DynamicModule = { module: RootModule, imports: [platform, ...services] }
  const adapter = new FastifyAdapter({ forceCloseConnections: true })
  return NestFactory.create<NestFastifyApplication>(root, adapter, {
    logger: ['error', 'warn'],
    abortOnError: false,
  })
}

/**
 * Listens for HTTP (health) on the port after the one for gRPC; before the services start, so that
 * a process that reads a long log is seen to live.
 * @throws ListenError
 */
export async function listenHttp(
  app: NestFastifyApplication,
  { port, host }: { readonly port: number; readonly host: string },
): Promise<void> {
  try {
    await app.listen(port + 1, host)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ListenError(
      `cannot listen on ${host}:${port + 1} (health, the one after the gRPC port ${port}): ` +
        `${reason}; choose another pair with --port`,
    )
  }
}

/** A service that can be started alone. */
export interface ServiceStart<S extends typeof serviceConfig> {
  readonly name: string
  readonly schema: S
  readonly module: (config: z.output<S>) => DynamicModule
  /** Services it needs to be ready. */
  readonly peers: readonly string[]
  /** It owns no log. Default: it owns one by its name. */
  readonly logless?: boolean
}

/** Names the types of a {@link ServiceStart}; does nothing. */
export const defineService = <S extends typeof serviceConfig>(
  service: ServiceStart<S>,
): ServiceStart<S> => service

/** What fault tests put between a service and the world. */
export interface ServiceWrap {
  readonly ports: (ports: Ports, dataDir: string) => Ports
  readonly options: (options: PlatformOptions) => PlatformOptions
}

const openingOf = (brokers: readonly string[]): string =>
  brokers.length === 0 ? 'opening the log' : `asking ${brokers.join(', ')} for the topics`

const startingOf = (app: INestApplicationContext): string => {
  const { host } = app.get<ServiceKit>(SERVICE_KIT)
  const partitions = host.statuses().map(({ service, role, position, lagRecords }) => {
    return `${service} is ${role} at ${position}, ${lagRecords} records to read`
  })
  return `reading and claiming: ${partitions.join('; ')}`
}

/**
 * Main of a service that is started alone: on Kafka, or on its own SQLite data directory; its peers
 * elsewhere. Peers that cannot be reached make it not ready, not dead. SIGTERM and SIGINT stop it
 * in order, and so does the end of a process that started it with a channel to it.
 */
export async function runService<S extends typeof serviceConfig>(
  init: ServiceStart<S>,
  wrap?: ServiceWrap,
): Promise<void> {
  const config = loadConfigOrExit(`sai-${init.name}`, init.schema, {
    defaults: { data: `.sai-${init.name}` },
  }) as z.output<S>
  const system = systemPorts(init.name, config.logLevel, config.replica)
  const ports = wrap?.ports(system, config.data) ?? system
  const stop = new AbortController()
  try {
    const peers = Object.fromEntries(
      Object.entries(config.peers).flatMap(([service, address]) =>
        address === undefined ? [] : [[service, address]],
      ),
    )
    const { replicas, tls, advertise } = config
    const { peers: required, name } = init
    const services = init.logless === true ? [] : [name]
    const base = { config, ports, tenants: [], nodes: [], peers, required, replicas, tls }
    const opening = openPlatform({ ...base, name, advertise, services })
    const { options } = await tellSlow(ports, () => openingOf(config.kafka.brokers), opening)
    const wrapped = wrap?.options(options) ?? options
    const app = await createPlatformApp(PlatformModule.with(wrapped), [init.module(config)])
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop.abort())
    app.enableShutdownHooks()
    if (process.connected) process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
    await listenHttp(app, config)
    await tellSlow(ports, () => startingOf(app), startServices(app))
    // Whoever started it with a channel need not ask.
    process.send?.('listening')
    process.stdout.write(
      `${init.name} listening on ${options.listen}, health on ${config.port + 1}\n`,
    )
  } catch (error) {
    if (!isStartError(error)) throw error
    // Stopped while it started: the application ends the process when all is closed.
    if (stop.signal.aborted) return
    process.stderr.write(`${error.message}\n`)
    process.exit(exitStatusOf(error))
  }
}
