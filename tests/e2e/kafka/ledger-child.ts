// A process of the ledger that a test may pause. Orders come over the channel of its parent.
import { openKafkaLog } from '@serverless-ai/eventlog/kafka'
import { RpcError } from '@serverless-ai/kernel'
import { quietPorts } from '../../support/quiet-ports.ts'
import { LOG } from './cluster.ts'
import { keysOf, ledgerOn } from './ledger.ts'
import { believing } from './unprotected.ts'

/** What a parent tells a process at its start, as JSON in its first argument. */
export interface ChildInit {
  readonly brokers: readonly string[]
  readonly topicPrefix: string
  readonly replica: string
  readonly replicas: readonly string[]
  readonly directory: string
  /** Takes acknowledgements of the brokers for the truth. */
  readonly believes: boolean
}

/** What a parent asks for. */
export type Order =
  | { readonly id: number; readonly order: 'add'; readonly key: string }
  | { readonly id: number; readonly order: 'role' }
  | { readonly id: number; readonly order: 'keys' }

/** What it hears. */
export interface Reply {
  readonly id: number
  /** `ok`, a reason of a refusal, or a role. */
  readonly text: string
  readonly keys: readonly string[]
}

const init: ChildInit = JSON.parse(process.argv[2] ?? '{}')
const { brokers, topicPrefix, replica, replicas, directory } = init
const kafka = await openKafkaLog({ brokers, topicPrefix, ports: quietPorts })
const log = init.believes ? believing(kafka, LOG) : kafka
const runtime = ledgerOn(log, { replica, replicas, directory })

async function carryOut(order: Order): Promise<Omit<Reply, 'id'>> {
  switch (order.order) {
    case 'role':
      return { text: runtime.status().role, keys: [] }
    case 'keys':
      return { text: 'ok', keys: await keysOf(runtime) }
    case 'add': {
      const answer = await runtime.execute({ type: 'Add', key: order.key })
      return { text: answer.ok ? 'ok' : answer.refusal.reason, keys: [] }
    }
  }
}

process.on('message', (order: Order) => {
  carryOut(order)
    .catch((error: unknown) => {
      if (error instanceof RpcError) return { text: error.reason, keys: [] }
      throw error
    })
    .then((reply) => process.send?.({ id: order.id, ...reply }))
})
process.on('disconnect', () => process.exit(0))
await runtime.start()
