import { accept, type DecideContext, type Decision, invariant } from '@serverless-ai/kernel'
import { freedEvents, noMore, platformExit } from './decide-nodes.ts'
import type { PoolEvent, ReplaceContracts, ReplaceSchedule, TakeNotice } from './messages.ts'
import {
  type Contract,
  type Execution,
  type Gang,
  type GangId,
  type Grant,
  gangKey,
  goesOn,
  type Release,
  SERVING_LEVEL,
} from './model.ts'
import { findGang, type PoolState } from './state.ts'

/** What is known of a gang, with what the same decision has already settled about it. */
interface GangView {
  readonly gang: Gang | undefined
  readonly grantedThrough: number
  readonly releasedThrough: number
}

function viewOf(state: PoolState, id: GangId): GangView {
  const gang = findGang(state, id)
  return {
    gang,
    grantedThrough: gang?.grantedThrough ?? 0,
    releasedThrough: gang?.releasedThrough ?? 0,
  }
}

/**
 * A grant: launched as soon as its contract is there; given back at once when it is over already.
 */
export function takeGrant(
  grant: Grant,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const flaw = flawOf(grant)
  const waiting = findGang(state, grant)?.waiting.get(grant.generation)
  const fits = waiting === undefined || waiting.rankEnv.length === grant.nodeOfRank.length
  // Broken promises of other services park the input: thrown, not refused.
  invariant(flaw === '', `grant of ${gangKey(grant)} cannot be used: ${flaw}`)
  invariant(fits, `grant of ${gangKey(grant)} has other ranks than its contract`)
  return accept(grantEvents(grant, viewOf(state, grant), state, context))
}

function flawOf(grant: Grant): string {
  const ranks = grant.nodeOfRank.length
  if (ranks === 0) return 'no ranks'
  if (grant.nodeOfRank.some((index) => grant.nodes[index] === undefined)) return 'unknown node'
  if (grant.deviceIndexes.length !== ranks * grant.devicesPerTask) return 'device columns'
  return ''
}

function grantEvents(
  grant: Grant,
  view: GangView,
  state: PoolState,
  context: DecideContext,
): PoolEvent[] {
  const { generation } = grant
  if (generation <= view.grantedThrough) return []
  const events: PoolEvent[] = []
  // The scheduler never has two generations of a gang: a newer one ends the older ones.
  if (view.gang !== undefined && generation - 1 > view.releasedThrough && view.grantedThrough > 0) {
    const release = { ...idOf(grant), throughGeneration: generation - 1, cause: 'RECOVER' }
    events.push(...releaseEvents(release, view, context.atMs))
  }
  events.push({ type: 'GangGranted', grant })
  if (generation <= view.releasedThrough) return [...events, ...freedUnassigned(grant)]
  const contract = view.gang?.waiting.get(generation)
  if (contract?.rankEnv.length === grant.nodeOfRank.length) {
    events.push(...assignEvents(grant, state, context))
  }
  return events
}

function assignEvents(grant: Grant, state: PoolState, context: DecideContext): PoolEvent[] {
  const { generation } = grant
  const events: PoolEvent[] = [{ type: 'RanksAssigned', ...idOf(grant), generation }]
  const gone: GoneRank[] = []
  grant.nodeOfRank.forEach((nodeIndex, rank) => {
    const nodeId = grant.nodes[nodeIndex] ?? ''
    const node = state.nodes.get(nodeId)
    if (node !== undefined && node.state.at !== 'Lost') return
    gone.push({ ...idOf(grant), generation, rank, nodeId })
  })
  for (const { nodeId, ...key } of gone) {
    const message = `node ${nodeId} was lost before the task was sent to it`
    const exit = platformExit('NODE_LOST', message, context.atMs)
    events.push({ type: 'TaskExited', key, exit })
  }
  events.push(...groupFreed(gone))
  return events
}

interface GoneRank extends GangId {
  readonly generation: number
  readonly rank: number
  readonly nodeId: string
}

/** A contract: kept until its grant is there, dropped when its generation is over. */
export function takeContract(
  contract: Contract,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const flaw = contractFlaw(contract, state)
  invariant(flaw === '', `contract of ${gangKey(contract)} cannot be used: ${flaw}`)
  return accept(contractEvents(contract, state, context))
}

function contractFlaw(contract: Contract, state: PoolState): string {
  if (contract.command.length === 0) return 'no command'
  const membership = findGang(state, contract)?.memberships.get(contract.generation)
  const ranks = membership?.grant.nodeOfRank.length ?? contract.rankEnv.length
  return ranks === contract.rankEnv.length ? '' : `environments of ${ranks} ranks are needed`
}

function contractEvents(
  contract: Contract,
  state: PoolState,
  context: DecideContext,
): readonly PoolEvent[] {
  const gang = findGang(state, contract)
  const { generation } = contract
  if (gang !== undefined && (gang.finished || generation <= gang.releasedThrough)) return []
  const membership = gang?.memberships.get(generation)
  if (membership?.contract || gang?.waiting.has(generation)) return []
  const prepared: PoolEvent = { type: 'ContractPrepared', contract }
  if (membership === undefined) return [prepared]
  return [prepared, ...assignEvents(membership.grant, state, context)]
}

/** A release: what was never sent is free at once, the rest when its processes are gone. */
export function takeRelease(
  release: Release,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  return accept(releaseEvents(release, viewOf(state, release), context.atMs))
}

/** A notice: for the generation that runs, once. */
export function takeNotice(
  command: TakeNotice,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  if ((context.featureLevel ?? 1) < SERVING_LEVEL) return accept([])
  const { generation, notice } = command
  const gang = findGang(state, command)
  const membership = gang?.memberships.get(generation)
  if (gang === undefined || membership === undefined) return accept([])
  if (generation <= gang.releasedThrough || membership.notice?.id === notice.id) return accept([])
  return accept([{ type: 'NoticeGiven', ...idOf(command), generation, notice }])
}

function releaseEvents(release: Release, view: GangView, atMs: number): PoolEvent[] {
  const { gang } = view
  const ends = !goesOn(release.cause) && gang?.finished !== true
  if (gang === undefined && release.throughGeneration === 0) return []
  if (release.throughGeneration <= view.releasedThrough && !ends) return []
  const { jobId, throughGeneration, cause } = release
  const events: PoolEvent[] = []
  for (const [generation, { executions }] of gang?.memberships ?? []) {
    // Said while it is still current: who sends requests hears of it.
    if (generation > throughGeneration) continue
    for (const each of executions) events.push(...noMore(each, 'is stopped', atMs))
  }
  events.push({ type: 'GangReleased', jobId, gang: release.gang, throughGeneration, cause })
  for (const [generation, membership] of gang?.memberships ?? []) {
    if (generation > throughGeneration) continue
    if (membership.executions.length > 0) {
      events.push(...freedEvents(membership.executions.filter(neverSent)))
    } else if (!membership.freedUnassigned) {
      events.push(...freedUnassigned(membership.grant))
    }
  }
  return events
}

const neverSent = (execution: Execution): boolean =>
  execution.session === '' && execution.phase.at === 'Assigned'

function freedUnassigned(grant: Grant): readonly PoolEvent[] {
  const { generation } = grant
  return groupFreed(
    grant.nodeOfRank.map((nodeIndex, rank) => {
      return { ...idOf(grant), generation, rank, nodeId: grant.nodes[nodeIndex] ?? '' }
    }),
  )
}

/** `DevicesFreed` of ranks that never became executions of a supervisor. */
function groupFreed(ranks: readonly GoneRank[]): readonly PoolEvent[] {
  const byNode = new Map<string, GoneRank[]>()
  for (const each of ranks) {
    const group = byNode.get(each.nodeId)
    if (group === undefined) byNode.set(each.nodeId, [each])
    else group.push(each)
  }
  return [...byNode].map(([nodeId, group]) => ({
    type: 'DevicesFreed',
    jobId: group[0]?.jobId ?? '',
    gang: group[0]?.gang ?? 0,
    generation: group[0]?.generation ?? 0,
    ranks: group.map((each) => each.rank),
    nodeId,
  }))
}

/**
 * The scheduler's full state after a gap: missed releases and grants are made good, and a gang that
 * it no longer knows is finished.
 */
export function replaceSchedule(
  command: ReplaceSchedule,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const events: PoolEvent[] = []
  const known = new Set([...command.grants, ...command.releases].map(gangKey))
  for (const [key, gang] of state.gangs) {
    if (known.has(key) || gang.finished || gang.grantedThrough === 0) continue
    const throughGeneration = Math.max(gang.grantedThrough, gang.releasedThrough)
    const release = { ...idOf(gang), throughGeneration, cause: 'FINISHED' }
    events.push(...releaseEvents(release, viewOf(state, gang), context.atMs))
  }
  const views = new Map<string, GangView>()
  for (const release of command.releases) {
    const view = viewOf(state, release)
    events.push(...releaseEvents(release, view, context.atMs))
    const releasedThrough = Math.max(view.releasedThrough, release.throughGeneration)
    views.set(gangKey(release), { ...view, releasedThrough })
  }
  for (const grant of [...command.grants].sort((a, b) => a.generation - b.generation)) {
    const key = gangKey(grant)
    const view = views.get(key) ?? viewOf(state, grant)
    if (flawOf(grant) !== '') continue
    events.push(...grantEvents(grant, view, state, context))
    const grantedThrough = Math.max(view.grantedThrough, grant.generation)
    views.set(key, { ...view, grantedThrough })
  }
  for (const notice of command.notices ?? []) {
    const given = takeNotice(notice, state, context)
    if (given.accepted) events.push(...given.events)
  }
  return accept(events)
}

/** The mediator's current contracts after a gap. */
export function replaceContracts(
  command: ReplaceContracts,
  state: PoolState,
  context: DecideContext,
): Decision<PoolEvent> {
  const usable = command.contracts.filter((each) => contractFlaw(each, state) === '')
  return accept(usable.flatMap((each) => contractEvents(each, state, context)))
}

const idOf = (id: GangId): GangId => ({ jobId: id.jobId, gang: id.gang })
