import type {
  CheckpointServiceService,
  RecoveryServiceService,
} from '@serverless-ai/contracts/recovery/v1/recovery'
import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { HandlersOf, Principal } from '@serverless-ai/kernel'
import { rpcError, seesTenant } from '@serverless-ai/rpc'
import { checkpointToProto, incidentToProto } from '../adapters/to-proto.ts'
import type { FaultState, Incident } from '../core/model.ts'
import type { FaultRuntime } from './definition.ts'

const PAGE_DEFAULT = 100
const PAGE_MAX = 1_000

function maySee(principal: Principal, state: FaultState, jobId: string): boolean {
  return seesTenant(principal, state.jobs.get(jobId)?.tenant ?? '')
}

function pageOf(size: number, token: string): { size: number; from: number } {
  const from = token === '' ? 0 : Number(token)
  if (!Number.isSafeInteger(from) || from < 0) {
    throw rpcError('INVALID_PAGE_TOKEN', { metadata: { pageToken: token } })
  }
  return { size: size === 0 ? PAGE_DEFAULT : Math.min(size, PAGE_MAX), from }
}

const entry = (atMs: number, code: string, details: Record<string, string>): StoryEntry => ({
  atMs: BigInt(Math.trunc(atMs)),
  position: '',
  service: 'fault-tolerance',
  code,
  details,
})

function storyOf(incident: Incident): StoryEntry[] {
  const common = { incident: incident.incidentId, generation: String(incident.generation) }
  const opened = entry(incident.detectedMs, 'INCIDENT', {
    ...common,
    evidence: incident.evidence.join('; '),
    detectMs: String(Math.max(0, Math.round(incident.detectedMs - incident.occurredMs))),
  })
  const { progress } = incident
  if (progress.at !== 'Decided') return [opened]
  const judged = entry(progress.decidedMs, 'JUDGED', {
    ...common,
    blame: progress.verdict.blame,
    cause: progress.verdict.cause,
    summary: progress.verdict.summary,
    decision: progress.decision,
    charged: String(progress.charged),
    restartsCharged: String(progress.restartsCharged),
    resumeFromStep: String(progress.resumedFromStep),
    stepsLost: String(progress.stepsLost),
    workLostMs: String(Math.round(progress.workLostMs)),
  })
  if (progress.recoveredMs === 0) return [opened, judged]
  const recovered = entry(progress.recoveredMs, 'RECOVERED', {
    ...common,
    recoverMs: String(Math.round(progress.recoveredMs - incident.occurredMs)),
  })
  return [opened, judged, recovered]
}

/** Business side of `RecoveryService`. */
export function recoveryHandlers(runtime: FaultRuntime): HandlersOf<typeof RecoveryServiceService> {
  return {
    async listIncidents(request, { principal, signal }) {
      const { size, from } = pageOf(request.pageSize, request.pageToken)
      const { value, token } = await runtime.read(
        (state) => {
          const all = [...state.incidents.values()]
            .filter((incident) => request.jobId === '' || incident.jobId === request.jobId)
            .filter((incident) => maySee(principal, state, incident.jobId))
            .reverse()
          const incidents = all.slice(from, from + size).map((one) => incidentToProto(one, state))
          return { incidents, nextPageToken: from + size < all.length ? String(from + size) : '' }
        },
        { signal },
      )
      return { ...value, position: token }
    },
    async explainIncidents(request, { principal, signal }) {
      const until = request.untilMs === 0n ? Number.POSITIVE_INFINITY : Number(request.untilMs)
      const { value } = await runtime.read(
        (state) => {
          if (!maySee(principal, state, request.jobId)) return []
          const incidents = [...state.incidents.values()].filter(
            (incident) => incident.jobId === request.jobId,
          )
          return incidents.flatMap(storyOf).filter((one) => Number(one.atMs) <= until)
        },
        { signal },
      )
      return { story: value }
    },
  }
}

/** Business side of `CheckpointService`. */
export function checkpointHandlers(
  runtime: FaultRuntime,
): HandlersOf<typeof CheckpointServiceService> {
  return {
    async listCheckpoints(request, { principal, signal }) {
      const { value, token } = await runtime.read(
        (state) => {
          if (!maySee(principal, state, request.jobId)) return []
          const gangs = [...(state.jobs.get(request.jobId)?.gangs.values() ?? [])]
          return gangs
            .flatMap((gang) => gang.checkpoints)
            .map((checkpoint) => checkpointToProto(request.jobId, checkpoint))
        },
        { signal },
      )
      return { checkpoints: value, position: token }
    },
  }
}
