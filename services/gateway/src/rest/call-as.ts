import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import type { ServiceKit } from '@serverless-ai/hosting/process'
import type { RpcError, Transport } from '@serverless-ai/kernel'
import {
  ACCESS,
  type Authenticate,
  admit,
  clientTls,
  createGrpcTransport,
  type FollowPorts,
  followLeader,
  rpcError,
  type TlsSource,
} from '@serverless-ai/rpc'
import { streamOf, unaryOf } from './codec.ts'
import { ownerOf } from './owners.ts'
import type { CallAbout, CallAs } from './rest-api.ts'

/**
 * Calls in the name of callers, by their tokens. Where services prove themselves by certificates
 * this one must not show its own: a certificate counts before a token, and callers would be taken
 * for a service.
 */
export function callersTransport(kit: Pick<ServiceKit, 'options' | 'ports' | 'transport'>): {
  readonly transport: Transport
  readonly close: () => Promise<void>
} {
  const { options, ports, transport } = kit
  const source = options.tls?.source
  if (source === undefined) return { transport, close: () => Promise.resolve() }
  const plain = createGrpcTransport({ clock: ports.clock, tls: withoutCertificate(source) })
  return { transport: plain, close: () => plain.close() }
}

function withoutCertificate(source: TlsSource): TlsSource {
  const { ca, identity } = source.current()
  return clientTls({
    files: { ca: 'ca' },
    pem: { ca },
    trustDomain: identity.trustDomain,
    nowMs: 0,
  })
}

/**
 * There is nobody who could refuse the caller of a feed that no service has: it is told what it
 * would be told of any other feed, and only then that there is none.
 */
function noSuchFeed({ rule, service, token }: CallAbout, authenticate: Authenticate): RpcError {
  const { method } = rule
  const metadata = new Map(token === undefined ? [] : [['authorization', `Bearer ${token}`]])
  admit(`/${method.parent.typeName}/${method.name}`, metadata, { access: ACCESS, authenticate })
  const message = `SERVICE_NOT_SERVED: no service "${service}"; feeds: ${SERVICE_NAMES.join(', ')}`
  return rpcError('SERVICE_NOT_SERVED', { message })
}

/** How calls reach their services. */
export function callsAs(
  kit: Pick<ServiceKit, 'peers'> & {
    readonly ports: FollowPorts
    readonly authenticate: Authenticate
  },
  transport: Transport,
): CallAs {
  const following = followLeader(transport, kit.ports, { attempts: 1 })
  const targetOf = (about: CallAbout) => {
    const { token } = about
    const owner = ownerOf(about.rule, about.service)
    if (owner === undefined) throw noSuchFeed(about, kit.authenticate)
    return { address: kit.peers.addressOf(owner), ...(token !== undefined && { token }) }
  }
  return {
    unary(about, message, options) {
      const { call } = following.client(unaryOf(about.rule.method), targetOf(about))
      return call(message, options)
    },
    stream(about, message, options) {
      const { call } = following.client(streamOf(about.rule.method), targetOf(about))
      return call(message, options)
    },
  }
}
