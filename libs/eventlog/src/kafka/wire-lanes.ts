// Connections of @platformatic/kafka to brokers, one request on each at a time.
import { isIP } from 'node:net'
import { Connection, type ConnectionOptions } from '@platformatic/kafka'
import type { KafkaTarget } from './connection.ts'
import { causes } from './errors.ts'
import type { Dial } from './kafkajs-socket.ts'
import { codeOf, WireError } from './wire-error.ts'

/** How many connections wait for the next read; more than these are closed after their read. */
const IDLE_LANES_MAX = 16

/** A broker's own address. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** `host:port`. */
export const nameOf = ({ host, port }: BrokerAddress): string => `${host}:${port}`

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const

/** Takes a connection for each question and keeps it for the next one. */
export class WireLanes {
  readonly #target: KafkaTarget
  readonly #dial: Dial
  /** Free connections, by broker and patience. */
  readonly #idle = new Map<string, Connection[]>()
  readonly #all = new Set<Connection>()
  #closed = false

  constructor(target: KafkaTarget, dial: Dial) {
    this.#target = target
    this.#dial = dial
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#all) connection.close().catch(() => undefined)
    this.#all.clear()
    this.#idle.clear()
  }

  /** Asks one broker, which must answer within `timeoutMs`. {@link WireError} */
  async ask<T>(
    broker: BrokerAddress,
    timeoutMs: number,
    ask: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    const lane = `${nameOf(broker)}/${timeoutMs}`
    let connection: Connection | undefined
    try {
      connection = this.#idle.get(lane)?.pop() ?? (await this.#connect(broker, timeoutMs))
      const answer = await ask(connection)
      this.#giveBack(lane, connection)
      return answer
    } catch (error) {
      const code = error instanceof WireError ? error.code : codeOf(error)
      if (error instanceof TypeError || error instanceof RangeError) {
        // A fault in a program, not in the network: repeating would only hide it.
        if (connection !== undefined) this.#drop(connection)
        throw error
      }
      if (connection !== undefined) {
        if (code === 'NETWORK') this.#drop(connection)
        else this.#giveBack(lane, connection)
      }
      throw error instanceof WireError ? error : new WireError(code, causes(error), error)
    }
  }

  async #connect({ host, port }: BrokerAddress, requestTimeout: number): Promise<Connection> {
    if (this.#closed) throw new WireError('NETWORK', 'closed')
    const { clientId, connectTimeoutMs: connectTimeout, tls, sasl } = this.#target
    const options: ConnectionOptions = { connectTimeout, requestTimeout }
    if (tls !== undefined) {
      options.tls = { ...tls }
      if (isIP(host) === 0) options.tlsServerName = tls.servername ?? host
    }
    if (sasl !== undefined) options.sasl = { ...sasl, mechanism: MECHANISMS[sasl.mechanism] }
    const connection = new Connection(clientId, options)
    // Errors reach the request that runs; one without a listener would end the process.
    connection.on('error', () => this.#drop(connection))
    connection.on('close', () => this.#drop(connection))
    this.#all.add(connection)
    const to = this.#dial({ host, port })
    try {
      await connection.connect(to.host, to.port)
    } catch (error) {
      this.#drop(connection)
      throw error
    }
    if (this.#closed) this.#drop(connection)
    return connection
  }

  #giveBack(lane: string, connection: Connection): void {
    if (!this.#all.has(connection)) return
    const idle = this.#idle.get(lane) ?? []
    this.#idle.set(lane, idle)
    if (idle.length < IDLE_LANES_MAX) idle.push(connection)
    else this.#drop(connection)
  }

  #drop(connection: Connection): void {
    if (!this.#all.delete(connection)) return
    for (const idle of this.#idle.values()) {
      const index = idle.indexOf(connection)
      if (index >= 0) idle.splice(index, 1)
    }
    connection.close().catch(() => undefined)
  }
}
