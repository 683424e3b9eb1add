import type { ConnectRequest, Hello } from '@serverless-ai/contracts/agent/v1/agent'
import type { Principal, Timers } from '@serverless-ai/kernel'
import { poolError } from '../adapters/errors.ts'

/** Version of the agents' protocol. */
const PROTOCOL = 1
/** Time from the start of a stream to its Hello, ms. */
const HELLO_TIMEOUT_MS = 10_000
/** Devices of one node. */
const DEVICES_MAX = 1_024
const NODE_ID = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/

/** Waits for the first message and checks it against the caller. */
export async function receiveHello(
  requests: AsyncIterator<ConnectRequest>,
  principal: Principal,
  timers: Timers,
): Promise<Hello> {
  const late = new AbortController()
  const timeout = timers.sleep(HELLO_TIMEOUT_MS, late.signal).then(
    () => 'late' as const,
    () => 'late' as const,
  )
  const first = await Promise.race([requests.next(), timeout])
  late.abort()
  if (first === 'late' || first.done || first.value.message?.$case !== 'hello') {
    throw poolError('HELLO_MISSING', { waitedMs: HELLO_TIMEOUT_MS })
  }
  const hello = first.value.message.value
  checkHello(hello, principal)
  return hello
}

function checkHello(hello: Hello, principal: Principal): void {
  const { nodeId, protocol, supervisorSession, inventory } = hello
  if (protocol !== PROTOCOL)
    throw poolError('PROTOCOL_VERSION', { agent: protocol, ours: PROTOCOL })
  const invalid = (flaw: string) => poolError('INVALID_HELLO', { flaw })
  if (!NODE_ID.test(nodeId)) throw invalid('node_id is not a lower-case DNS label')
  if (!principal.roles.includes('agent') || principal.subject !== `node:${nodeId}`) {
    throw poolError('NODE_ID_MISMATCH', { node: nodeId, token: principal.subject })
  }
  if (supervisorSession === '' || supervisorSession.length > 128) {
    throw invalid('supervisor_session must have 1 to 128 characters')
  }
  if (inventory === undefined) throw invalid('inventory is missing')
  const { devices, portFirst, portLast } = inventory
  if (devices.length > DEVICES_MAX) throw invalid(`more than ${DEVICES_MAX} devices`)
  if (devices.some((device, index) => device.index !== index)) {
    throw invalid('devices must be in index order, from 0')
  }
  if (portFirst > portLast || portLast > 65_535) throw invalid('port range')
}
