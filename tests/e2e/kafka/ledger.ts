// The smallest service: it keeps what was added. Processes of it are what the specs pause.
import { tmpdir } from 'node:os'
import { type EventLog, openSnapshotDirectory } from '@serverless-ai/eventlog'
import { accept, type Decider, type Json, RpcError } from '@serverless-ai/kernel'
import { createRuntime, type ServiceDefinition, type ServiceRuntime } from '@serverless-ai/runtime'
import { quietPorts } from '../../support/quiet-ports.ts'
import { SERVICE } from './cluster.ts'

/** Adds a key. */
export interface Add {
  readonly type: 'Add'
  readonly key: string
}
/** A key was added. */
export interface Added {
  readonly type: 'Added'
  readonly key: string
}
/** How often each key was added. */
export type Ledger = Map<string, number>

const decider: Decider<Ledger, Add, Added> = {
  initial: () => new Map(),
  decide: ({ key }) => accept<Added>([{ type: 'Added', key }]),
  evolve: (state, { key }) => state.set(key, (state.get(key) ?? 0) + 1),
  toJson: (state): Json => [...state],
  fromJson: (json) => new Map(JSON.parse(JSON.stringify(json))),
}

/** The ledger as a service. */
export const ledger: ServiceDefinition<Ledger, Add, Added> = {
  name: SERVICE,
  schemaVersion: 1,
  decider,
  publish: () => [],
  *snapshotFeed() {},
  inputs: [],
}

/** A process of the ledger. `directory`: its snapshots. */
export function ledgerOn(
  eventLog: EventLog,
  init: { replica: string; replicas: readonly string[]; directory?: string },
): ServiceRuntime<Ledger, Add, Added> {
  const { replica, replicas, directory = `${tmpdir()}/ledger-${process.pid}-${replica}` } = init
  const snapshots = openSnapshotDirectory({ directory, ports: quietPorts })
  const feed = (): never => {
    throw new RpcError({ code: 'UNAVAILABLE', reason: 'NOT_CONNECTED', message: 'no feed here' })
  }
  const own = { replica, replicas, address: replica, partition: 0 }
  return createRuntime(ledger, { eventLog, snapshots, feed, ...own }, quietPorts)
}

/** Keys that it holds now. */
export async function keysOf(runtime: ServiceRuntime<Ledger, Add, Added>): Promise<string[]> {
  return (await runtime.read((state) => [...state.keys()])).value
}
