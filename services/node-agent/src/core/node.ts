import { invariant } from '@serverless-ai/kernel'
import { compareVersions, type DesiredVersion, type ExecutionKey, keyText } from './keys.ts'
import type { Readiness, ReadinessProbe } from './probe.ts'
import {
  type Assignment,
  type ExecutionStatus,
  exitOf,
  type Notice,
  type TaskExit,
} from './types.ts'

/**
 * The rules of a supervisor as a pure step function: which executions are prepared, started,
 * stopped and killed, given the desired set, the lease and what became of the processes. An
 * execution is spawned at most once.
 */

/** Why the platform ends something that runs. */
export type StopCause = 'STOPPED' | 'LEASE_LAPSED' | 'NODE_SHUTDOWN'

/** Where an execution is. `ready` = prepared, waits for a valid lease. */
type Phase =
  | { readonly at: 'preparing' }
  | { readonly at: 'ready' }
  | { readonly at: 'spawning'; readonly unwanted: StopCause | undefined }
  | { readonly at: 'running'; readonly pid: number; readonly startedMs: number }
  | {
      readonly at: 'stopping'
      readonly pid: number
      readonly startedMs: number
      /** SIGKILL was sent at a lease deadline already. */
      readonly lapsed: boolean
    }
  | {
      readonly at: 'exited'
      readonly pid: number
      readonly startedMs: number
      readonly exit: TaskExit
    }

/** One execution the node holds. */
export interface Held {
  readonly key: ExecutionKey
  /** Absent for what an older session left. */
  readonly assignment: Assignment | undefined
  readonly phase: Phase
  /** What its probe found last. */
  readonly readiness?: Readiness
}

/** The lease as far as it is known here. */
export interface Lease {
  /** Boot clock at which it ends, ms. */
  readonly deadlineBootMs: number
  /** A desired set came over the stream that renews the lease. */
  readonly setSeen: boolean
}

/** State of the node's rules. Changed in place by {@link step}. */
export interface NodeState {
  journal: DesiredVersion
  lease: Lease
  /** A shutdown has begun: nothing is started any more. */
  shutdown: boolean
  readonly held: Map<string, Held>
}

/** What happened. `bootMs` and `wallMs` are the clocks at that moment. */
export type NodeInput =
  | {
      readonly type: 'desired'
      readonly version: DesiredVersion
      readonly assignments: readonly Assignment[]
      readonly forget: readonly ExecutionKey[]
    }
  | { readonly type: 'lease'; readonly deadlineBootMs: number; readonly setSeen: boolean }
  | { readonly type: 'tick' }
  | { readonly type: 'prepared'; readonly key: ExecutionKey }
  | { readonly type: 'spawned'; readonly key: ExecutionKey; readonly pid: number }
  | { readonly type: 'ended'; readonly key: ExecutionKey; readonly exit: TaskExit }
  | { readonly type: 'probed'; readonly key: ExecutionKey; readonly readiness: Readiness }
  | { readonly type: 'shutdown'; readonly graceMs: number }

/** What has to be done about it. */
export type NodeEffect =
  | { readonly type: 'prepare'; readonly assignment: Assignment }
  | { readonly type: 'spawn'; readonly assignment: Assignment }
  /** It runs, and shall know something new. */
  | { readonly type: 'notice'; readonly key: ExecutionKey; readonly notice: Notice }
  | {
      readonly type: 'stop'
      readonly key: ExecutionKey
      /** 0 = SIGKILL at once. */
      readonly graceMs: number
      readonly cause: StopCause
    }
  /** It ended without having run: keep the record. */
  | { readonly type: 'record'; readonly key: ExecutionKey; readonly exit: TaskExit }
  | { readonly type: 'forget'; readonly key: ExecutionKey }

/** The clocks at the moment of an input. */
export interface Now {
  readonly bootMs: number
  readonly wallMs: number
}

/** A node at the start of a supervisor session, with what older sessions left. */
export function initialNode(
  journal: DesiredVersion,
  left: readonly { readonly key: ExecutionKey; readonly status: ExecutionStatus }[],
): NodeState {
  const held = new Map<string, Held>()
  for (const { key, status } of left) {
    invariant(status.exit !== null, 'an older session left a running execution')
    const { pid, startedMs, exit } = status
    held.set(keyText(key), {
      key,
      assignment: undefined,
      phase: { at: 'exited', pid, startedMs, exit },
    })
  }
  return { journal, lease: { deadlineBootMs: 0, setSeen: false }, shutdown: false, held }
}

/** True when a lease is valid now. */
export function leaseValid(state: NodeState, bootMs: number): boolean {
  return bootMs < state.lease.deadlineBootMs
}

/** The next boot time at which {@link step} wants a `tick`; undefined = none. */
export function nextTickBootMs(state: NodeState): number | undefined {
  for (const held of state.held.values()) {
    if (held.assignment?.exclusive && mustLapse(held)) return state.lease.deadlineBootMs
  }
  return undefined
}

/** Applies one input and says what to do. */
export function step(state: NodeState, input: NodeInput, now: Now): NodeEffect[] {
  switch (input.type) {
    case 'desired':
      return onDesired(state, input, now)
    case 'lease': {
      const deadlineBootMs = Math.max(state.lease.deadlineBootMs, input.deadlineBootMs)
      state.lease = { deadlineBootMs, setSeen: input.setSeen }
      return startReady(state, now)
    }
    case 'tick':
      return onTick(state, now)
    case 'prepared': {
      const held = state.held.get(keyText(input.key))
      if (held?.phase.at !== 'preparing') return []
      put(state, held, { at: 'ready' })
      return startReady(state, now)
    }
    case 'spawned':
      return onSpawned(state, input.key, input.pid, now)
    case 'ended':
      return onEnded(state, input.key, input.exit)
    case 'probed':
      return onProbed(state, input.key, input.readiness)
    case 'shutdown':
      return onShutdown(state, input.graceMs, now)
  }
}

function put(state: NodeState, held: Held, phase: Phase): void {
  state.held.set(keyText(held.key), { ...held, phase })
}

/** True when a lapse of the lease would still have to do something about it. */
function mustLapse({ phase }: Held): boolean {
  if (phase.at === 'spawning') return phase.unwanted !== 'LEASE_LAPSED'
  return phase.at === 'running' || (phase.at === 'stopping' && !phase.lapsed)
}

function onDesired(
  state: NodeState,
  input: Extract<NodeInput, { type: 'desired' }>,
  now: Now,
): NodeEffect[] {
  if (compareVersions(input.version, state.journal) < 0) return []
  state.journal = input.version
  const effects: NodeEffect[] = []
  const wanted = new Set(input.assignments.map((assignment) => keyText(assignment.key)))
  for (const held of [...state.held.values()]) {
    if (!wanted.has(keyText(held.key))) effects.push(...unwanted(state, held, now))
  }
  for (const key of input.forget) {
    if (state.held.get(keyText(key))?.phase.at !== 'exited') continue
    state.held.delete(keyText(key))
    effects.push({ type: 'forget', key })
  }
  if (state.shutdown) return effects
  const forgotten = new Set(input.forget.map(keyText))
  for (const assignment of input.assignments) {
    const text = keyText(assignment.key)
    const held = state.held.get(text)
    if (held !== undefined) effects.push(...noticed(state, held, assignment.notice))
    if (held !== undefined || forgotten.has(text)) continue
    state.held.set(text, { key: assignment.key, assignment, phase: { at: 'preparing' } })
    effects.push({ type: 'prepare', assignment })
  }
  return effects
}

/** A task that is not started yet is told at its start. */
function noticed(state: NodeState, held: Held, notice: Notice | undefined): NodeEffect[] {
  const { assignment, key, phase } = held
  if (assignment === undefined || notice === undefined) return []
  if (assignment.notice?.id === notice.id) return []
  state.held.set(keyText(key), { ...held, assignment: { ...assignment, notice } })
  return phase.at === 'running' ? [{ type: 'notice', key, notice }] : []
}

function unwanted(state: NodeState, held: Held, now: Now): NodeEffect[] {
  const { phase, key } = held
  switch (phase.at) {
    case 'preparing':
    case 'ready': {
      const exit = exitOf('STOPPED', 'no longer wanted before it was started', now.wallMs)
      put(state, held, { at: 'exited', pid: 0, startedMs: 0, exit })
      return [{ type: 'record', key, exit }]
    }
    case 'spawning':
      put(state, held, { at: 'spawning', unwanted: 'STOPPED' })
      return []
    case 'running': {
      put(state, held, { ...phase, at: 'stopping', lapsed: false })
      const graceMs = held.assignment?.stopGraceMs ?? 0
      return [{ type: 'stop', key, graceMs, cause: 'STOPPED' }]
    }
    case 'stopping':
    case 'exited':
      return []
  }
}

function startReady(state: NodeState, now: Now): NodeEffect[] {
  if (state.shutdown || !state.lease.setSeen || !leaseValid(state, now.bootMs)) return []
  const effects: NodeEffect[] = []
  for (const held of [...state.held.values()]) {
    if (held.phase.at !== 'ready' || held.assignment === undefined) continue
    put(state, held, { at: 'spawning', unwanted: undefined })
    effects.push({ type: 'spawn', assignment: held.assignment })
  }
  return effects
}

function onTick(state: NodeState, now: Now): NodeEffect[] {
  if (leaseValid(state, now.bootMs)) return []
  const effects: NodeEffect[] = []
  for (const held of [...state.held.values()]) {
    if (held.assignment?.exclusive !== true || !mustLapse(held)) continue
    const { phase, key } = held
    if (phase.at === 'spawning') put(state, held, { at: 'spawning', unwanted: 'LEASE_LAPSED' })
    if (phase.at !== 'running' && phase.at !== 'stopping') continue
    put(state, held, { ...phase, at: 'stopping', lapsed: true })
    effects.push({ type: 'stop', key, graceMs: 0, cause: 'LEASE_LAPSED' })
  }
  return effects
}

function onSpawned(state: NodeState, key: ExecutionKey, pid: number, now: Now): NodeEffect[] {
  const held = state.held.get(keyText(key))
  invariant(held?.phase.at === 'spawning', `${keyText(key)} was spawned unasked`)
  const { assignment, phase } = held
  const late = assignment?.exclusive === true && !leaseValid(state, now.bootMs)
  const cause = late ? 'LEASE_LAPSED' : state.shutdown ? 'NODE_SHUTDOWN' : phase.unwanted
  if (cause === undefined) {
    put(state, held, { at: 'running', pid, startedMs: now.wallMs })
    const notice = assignment?.notice
    return notice === undefined ? [] : [{ type: 'notice', key, notice }]
  }
  const lapsed = cause === 'LEASE_LAPSED'
  put(state, held, { at: 'stopping', pid, startedMs: now.wallMs, lapsed })
  return [{ type: 'stop', key, graceMs: lapsed ? 0 : (assignment?.stopGraceMs ?? 0), cause }]
}

function onEnded(state: NodeState, key: ExecutionKey, exit: TaskExit): NodeEffect[] {
  const held = state.held.get(keyText(key))
  if (held === undefined || held.phase.at === 'exited') return []
  const ran = held.phase.at === 'running' || held.phase.at === 'stopping'
  const pid = ran ? held.phase.pid : 0
  const startedMs = ran ? held.phase.startedMs : 0
  put(state, held, { at: 'exited', pid, startedMs, exit })
  return ran ? [] : [{ type: 'record', key, exit }]
}

function onShutdown(state: NodeState, graceMs: number, now: Now): NodeEffect[] {
  state.shutdown = true
  const effects: NodeEffect[] = []
  for (const held of [...state.held.values()]) {
    const { phase, key } = held
    if (phase.at === 'preparing' || phase.at === 'ready') {
      const exit = exitOf('NODE_SHUTDOWN', 'the node was shut down before the start', now.wallMs)
      put(state, held, { at: 'exited', pid: 0, startedMs: 0, exit })
      effects.push({ type: 'record', key, exit })
    }
    if (phase.at !== 'running' && phase.at !== 'stopping') continue
    put(state, held, { lapsed: false, ...phase, at: 'stopping' })
    const grace = Math.min(graceMs, held.assignment?.stopGraceMs ?? graceMs)
    effects.push({ type: 'stop', key, graceMs: grace, cause: 'NODE_SHUTDOWN' })
  }
  return effects
}

function onProbed(state: NodeState, key: ExecutionKey, readiness: Readiness): NodeEffect[] {
  const held = state.held.get(keyText(key))
  if (held?.phase.at === 'running') state.held.set(keyText(key), { ...held, readiness })
  return []
}

/** The tasks that are asked whether they can take requests. */
export function probedTasks(
  state: NodeState,
): { key: ExecutionKey; probe: ReadinessProbe; readiness: Readiness | null }[] {
  return [...state.held.values()].flatMap(({ key, assignment, phase, readiness = null }) => {
    const probe = assignment?.readiness
    return phase.at === 'running' && probe !== undefined ? [{ key, probe, readiness }] : []
  })
}

/** What is reported of everything held, in key order. */
export function statusesOf(state: NodeState): ExecutionStatus[] {
  const ordered = [...state.held.entries()].sort(([a], [b]) => (a < b ? -1 : 1))
  return ordered.map(([, held]) => statusOf(held))
}

function statusOf({ key, phase, readiness }: Held): ExecutionStatus {
  switch (phase.at) {
    case 'preparing':
    case 'ready':
    case 'spawning':
      return { key, state: 'PREPARING', pid: 0, startedMs: 0, exit: null }
    case 'running':
    case 'stopping': {
      const state = phase.at === 'running' ? 'RUNNING' : 'STOPPING'
      const found = readiness === undefined ? {} : { readiness }
      return { key, state, pid: phase.pid, startedMs: phase.startedMs, exit: null, ...found }
    }
    case 'exited': {
      const { pid, startedMs, exit } = phase
      return { key, state: 'EXITED', pid, startedMs, exit }
    }
  }
}
