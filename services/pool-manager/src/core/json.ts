import { invariant, type Json } from '@serverless-ai/kernel'
import type {
  Contract,
  Execution,
  Gang,
  Grant,
  Membership,
  Notice,
  Phase,
  PoolNode,
  Readiness,
} from './model.ts'
import { emptyState, executionCount, indexExecution, indexGang, type PoolState } from './state.ts'

/** Stored form of a membership: executions as columns, index = rank. */
interface StoredMembership {
  readonly grant: Grant
  readonly contract: Contract | null
  readonly freedUnassigned: boolean
  readonly sessions: readonly string[]
  readonly phases: readonly Phase[]
  readonly removed: readonly number[]
  readonly lines: readonly number[]
  /** Absent where no rank has any, as in states of older versions. */
  readonly readiness?: readonly (Readiness | null)[]
  readonly notice?: Notice
}

interface StoredGang {
  readonly id: readonly [jobId: string, gang: number]
  readonly tenant: string
  readonly granted: number
  readonly released: number
  readonly finished: boolean
  readonly unfreed: number
  readonly memberships: readonly StoredMembership[]
  readonly waiting: readonly Contract[]
}

interface StoredState {
  readonly nodes: readonly PoolNode[]
  readonly gangs: readonly StoredGang[]
  readonly settled: readonly string[]
}

/** The same content without names of types: what has none is known to be JSON. */
type Plain<T> = { readonly [K in keyof T]: Plain<T[K]> }

/** The state as plain JSON; the same state always gives the same text. */
export function toJson(state: PoolState): Json {
  const stored: Plain<StoredState> = {
    nodes: Array.from(state.nodes.values(), (node) => ({ ...node })),
    gangs: Array.from(state.gangs.values(), storeGang),
    settled: [...state.settled.keys()],
  }
  // What changes in place is copied; all below is replaced, never changed.
  return stored
}

/** The inverse of {@link toJson}. */
export function fromJson(json: Json): PoolState {
  const stored = asStored(structuredClone(json))
  const state = emptyState()
  // Snapshots of before leases were recorded have none.
  for (const node of stored.nodes)
    state.nodes.set(node.nodeId, { ...node, leaseMs: node.leaseMs ?? 0 })
  for (const each of stored.gangs) loadGang(state, each)
  for (const key of stored.settled) {
    const gang = state.gangs.get(key)
    invariant(gang !== undefined, `settled gang ${key} is not in the snapshot`)
    const count = executionCount(gang)
    state.settled.set(key, count)
    state.settledExecutions += count
  }
  return state
}

function asStored(json: unknown): StoredState {
  const whole = isStored(json)
  invariant(whole, 'this is no snapshot of the pool manager')
  return json
}

/** Snapshots carry a checksum and a schema version; this only tells one state from another. */
function isStored(json: unknown): json is StoredState {
  return typeof json === 'object' && json !== null && 'nodes' in json && 'gangs' in json
}

function storeGang(gang: Gang): StoredGang {
  return {
    id: [gang.jobId, gang.gang],
    tenant: gang.tenant,
    granted: gang.grantedThrough,
    released: gang.releasedThrough,
    finished: gang.finished,
    unfreed: gang.unfreedRanks,
    memberships: [...gang.memberships.values()].map(storeMembership),
    waiting: [...gang.waiting.values()],
  }
}

function storeMembership(membership: Membership): StoredMembership {
  const { grant, contract, freedUnassigned, executions, notice } = membership
  const readiness = executions.map((each) => each.readiness ?? null)
  return {
    grant,
    contract,
    freedUnassigned,
    sessions: executions.map((each) => each.session),
    phases: executions.map((each) => each.phase),
    removed: executions.map((each) => each.removedRevision),
    lines: executions.map((each) => each.lastLine),
    ...(readiness.some((each) => each !== null) ? { readiness } : {}),
    ...(notice === undefined ? {} : { notice }),
  }
}

function loadGang(state: PoolState, stored: StoredGang): void {
  const [jobId, number] = stored.id
  const gang: Gang = {
    jobId,
    gang: number,
    tenant: stored.tenant,
    grantedThrough: stored.granted,
    releasedThrough: stored.released,
    finished: stored.finished,
    unfreedRanks: stored.unfreed,
    memberships: new Map(),
    waiting: new Map(stored.waiting.map((each) => [each.generation, each])),
  }
  for (const each of stored.memberships) {
    const { grant, contract, freedUnassigned, notice } = each
    const noted = notice === undefined ? {} : { notice }
    const executions = each.phases.map((_, rank) => loadExecution(each, rank))
    gang.memberships.set(grant.generation, {
      ...{ grant, contract, executions, freedUnassigned },
      ...noted,
    })
    for (const execution of executions) {
      if (execution.phase.at !== 'Freed') indexExecution(state, execution)
    }
  }
  indexGang(state, gang)
  if (gang.grantedThrough === 0 && gang.waiting.size > 0) {
    state.ungranted.add(`${jobId}/${number}`)
  }
}

function loadExecution(stored: StoredMembership, rank: number): Execution {
  const { grant, phases, sessions, removed, lines } = stored
  const { jobId, gang, generation } = grant
  const readiness = stored.readiness?.[rank] ?? null
  const nodeId = grant.nodes[grant.nodeOfRank[rank] ?? -1]
  const phase = phases[rank]
  invariant(nodeId !== undefined && phase !== undefined, `rank ${rank} of ${jobId} is damaged`)
  return {
    jobId,
    gang,
    generation,
    rank,
    nodeId,
    session: sessions[rank] ?? '',
    phase,
    removedRevision: removed[rank] ?? 0,
    lastLine: lines[rank] ?? 0,
    ...(readiness === null ? {} : { readiness }),
  }
}
