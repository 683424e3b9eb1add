import {
  AdminServiceService,
  type RaiseFeatureLevelRequest,
  type RaiseFeatureLevelResponse,
  type ReplicaLevel,
} from '@serverless-ai/contracts/admin/v1/admin'
import { RpcError } from '@serverless-ai/kernel'
import { addressesOf } from '@serverless-ai/rpc'
import type { ServiceKit } from './service-kit.ts'

type LevelKit = Pick<ServiceKit, 'options' | 'peers' | 'host' | 'transport'>

/** A replica that has not said what it knows by then is not known, ms. */
const ASK_TIMEOUT_MS = 2000

/**
 * Raises the feature level of a service that this process leads, once every configured replica that
 * is not left out has said that it knows the level. What is not known can do no harm to the log: a
 * version below the level does not lead. It costs a standby, and that is what is asked for first.
 */
export async function raiseFeatureLevel(
  kit: LevelKit,
  request: RaiseFeatureLevelRequest,
): Promise<RaiseFeatureLevelResponse> {
  const { service, level, without, validateOnly } = request
  if (level < 1) {
    const message = 'level must be 1 or more'
    throw new RpcError({ code: 'INVALID_ARGUMENT', reason: 'INVALID_ARGUMENT', message })
  }
  const runtime = kit.host.get(service)
  await runtime.raiseFeatureLevel(level, { validateOnly: true })
  const replicas = await replicaLevels(kit, service)
  const missing = replicas.filter(
    ({ replica, knownFeatureLevel }) => knownFeatureLevel < level && !without.includes(replica),
  )
  if (missing.length > 0) throw notReady({ service, level }, missing)
  const { inUse, token } = await runtime.raiseFeatureLevel(level, { validateOnly })
  return { featureLevel: inUse, replicas: [...replicas], position: token }
}

function notReady(
  { service, level }: { service: string; level: number },
  missing: readonly ReplicaLevel[],
): RpcError {
  const told = missing.map(({ replica, knownFeatureLevel, problem }) =>
    problem === '' ? `${replica} knows ${knownFeatureLevel}` : `${replica}: ${problem}`,
  )
  return new RpcError({
    code: 'FAILED_PRECONDITION',
    reason: 'REPLICAS_NOT_READY',
    message:
      `not every replica of ${service} knows feature level ${level}: ${told.join('; ')}. ` +
      'Upgrade and start them, or leave out those that are gone for good (--without NAME)',
    metadata: { service, replicas: missing.map(({ replica }) => replica).join(',') },
  })
}

/** What each configured replica knows, as far as it can be asked. */
async function replicaLevels(kit: LevelKit, service: string): Promise<readonly ReplicaLevel[]> {
  const { replica, replicas = [replica], advertise, listen } = kit.options
  const { knownFeatureLevel } = kit.host.get(service).status()
  const own = { replica, knownFeatureLevel, address: advertise ?? listen, problem: '' }
  const others = replicas.filter((name) => name !== replica)
  if (others.length === 0) return [own]
  const addresses = addressesOf(kit.peers.addressOf(service)).filter((one) => one !== own.address)
  const asked = await Promise.all(addresses.map((address) => ask(kit, { service, address })))
  const said = new Map(asked.flatMap((one) => (one.replica === '' ? [] : [[one.replica, one]])))
  const silent = asked.filter((one) => one.replica === '')
  const problem =
    silent.length > 0
      ? silent.map((one) => `${one.problem} at ${one.address}`).join(', ')
      : `its address is not known to ${replica}; set --peers.${service} to all replicas`
  const unknown = { knownFeatureLevel: 0, address: '', problem }
  const found = others.map((name) => said.get(name) ?? { ...unknown, replica: name })
  return [own, ...found].sort((a, b) => (a.replica < b.replica ? -1 : 1))
}

/** Asks the replica at an address; its name is empty when it does not say. */
async function ask(
  { transport, options }: LevelKit,
  { service, address }: { service: string; address: string },
): Promise<ReplicaLevel> {
  try {
    const admin = transport.client(AdminServiceService, { address, token: options.serviceToken })
    const status = await admin.getStatus({ withDigest: false }, { timeoutMs: ASK_TIMEOUT_MS })
    const partition = status.partitions.find((one) => one.service === service)
    // A version from before levels were told knows the first one.
    const knownFeatureLevel = Math.max(1, partition?.knownFeatureLevel ?? 1)
    return { replica: status.replica, knownFeatureLevel, address, problem: '' }
  } catch (error) {
    const problem = error instanceof RpcError ? error.reason : String(error)
    return { replica: '', knownFeatureLevel: 0, address, problem }
  }
}
