import type { ServiceKit } from '@serverless-ai/hosting/process'
import type { Transport } from '@serverless-ai/kernel'
import {
  clientTls,
  createGrpcTransport,
  followLeader,
  rpcError,
  type TlsSource,
} from '@serverless-ai/rpc'
import { streamOf, unaryOf } from './codec.ts'
import type { CallAbout, CallAs } from './rest-api.ts'

/** Owner of each proto package. */
const OWNERS: Readonly<Record<string, string>> = {
  'serverlessai.job.v1': 'mediator',
  'serverlessai.schedule.v1': 'scheduler',
  'serverlessai.pool.v1': 'pool-manager',
  'serverlessai.recovery.v1': 'fault-tolerance',
  'serverlessai.objective.v1': 'sla-monitor',
  'serverlessai.scaling.v1': 'autoscaler',
  'serverlessai.profile.v1': 'resource-profiler',
}
const FEEDS = 'serverlessai.feed.v1'

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

/** How calls reach their services. */
export function callsAs(kit: Pick<ServiceKit, 'peers' | 'ports'>, transport: Transport): CallAs {
  const following = followLeader(transport, kit.ports, { attempts: 1 })
  const ownerOf = ({ rule, service }: CallAbout): string => {
    const { proto } = rule.method.parent.file
    const owner = proto.package === FEEDS ? service : OWNERS[proto.package]
    if (owner === undefined) throw rpcError('SERVICE_NOT_SERVED')
    return owner
  }
  const targetOf = (about: CallAbout) => {
    const { token } = about
    const address = kit.peers.addressOf(ownerOf(about))
    return { address, ...(token !== undefined && { token }) }
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
