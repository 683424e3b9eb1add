import type { Timers, Transport, TransportServer } from '@serverless-ai/kernel'
import { MemoryTransport } from './memory-client.ts'
import { DIRECT, type Link } from './memory-link.ts'
import { MemoryServer } from './memory-server.ts'
import { type RpcServerOptions, withDefaults } from './server-options.ts'

/** A server that can go without a word. */
export interface VanishingServer extends TransportServer {
  /** As a crash of its process: the address is free at once, nothing ends, nobody is told. */
  vanish(): void
}

/** A network inside the process: messages are encoded and decoded, errors travel as statuses. */
export interface MemoryNetwork {
  /**
   * One caller. `timers`: its deadlines, those of the network by default. `link`: what carries its
   * calls; by default everything arrives at once.
   */
  transport(options?: { readonly timers?: Timers; readonly link?: Link }): Transport
  server(options: RpcServerOptions): VanishingServer
}

/**
 * A network of its own for tests and simulations, with the semantics of the gRPC transport:
 * authentication, deadlines, cancellation, bounded streams, statuses.
 */
export function memoryNetwork(options: { readonly timers: Timers }): MemoryNetwork {
  const servers = new Map<string, MemoryServer>()
  return {
    transport: ({ timers = options.timers, link = DIRECT } = {}) =>
      new MemoryTransport(servers, timers, link),
    server: (server) => new MemoryServer(withDefaults(server), servers),
  }
}
