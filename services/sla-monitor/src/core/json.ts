import type { Json } from '@serverless-ai/kernel'
import { budgetRing, ringsOf } from './evolve.ts'
import type {
  Breach,
  Counts,
  JobView,
  Ledger,
  Objective,
  ObjectiveState,
  RequestedAction,
  SlaState,
  SourceState,
} from './model.ts'
import { fillRing, ringToJson } from './ring.ts'

type RingJson = ReturnType<typeof ringToJson>
type LedgerJson = Omit<Ledger, 'open'> & {
  open: [number, { counts: Counts; throughCount: number }][]
}
type ObjectiveJson = {
  objective: Objective
  rings: RingJson[]
  budget: RingJson
  aside: ObjectiveState['aside']
  breaches: [number, Breach][]
  actions: RequestedAction[]
  actionNumber: number
  ledgers: [string, LedgerJson][]
  story: ObjectiveState['story']
}
type JobJson = Omit<JobView, 'pending'> & { pending: [string, number][] }
type StateJson = Omit<SlaState, 'objectives' | 'sources' | 'jobs' | 'names'> & {
  objectives: ObjectiveJson[]
  sources: SourceState[]
  jobs: JobJson[]
  names: [string, string][]
}

const objectiveToJson = (of: ObjectiveState): ObjectiveJson => ({
  objective: of.objective,
  rings: of.rings.map(ringToJson),
  budget: ringToJson(of.budget),
  aside: of.aside,
  breaches: [...of.breaches].sort(([a], [b]) => a - b),
  actions: [...of.actions.values()].sort((a, b) => a.step - b.step),
  actionNumber: of.actionNumber,
  ledgers: [...of.ledgers].map(([tenant, ledger]) => [
    tenant,
    { ...ledger, open: [...ledger.open].sort(([a], [b]) => a - b) },
  ]),
  story: of.story,
})

function objectiveFromJson(json: ObjectiveJson): ObjectiveState {
  const { objective } = json
  return {
    objective,
    rings: ringsOf(objective).map((ring, index) =>
      fillRing(ring, json.rings[index] ?? { head: -1, cells: [] }),
    ),
    budget: fillRing(budgetRing(objective), json.budget),
    aside: json.aside,
    breaches: new Map(json.breaches),
    actions: new Map(json.actions.map((action) => [action.step, action])),
    actionNumber: json.actionNumber,
    ledgers: new Map(
      json.ledgers.map(([tenant, ledger]) => [tenant, { ...ledger, open: new Map(ledger.open) }]),
    ),
    story: json.story,
  }
}

/** State as plain JSON: the same state gives the same JSON. */
export function toJson(state: SlaState): Json {
  const json: StateJson = {
    ...state,
    marks: [...state.marks],
    objectives: [...state.objectives.values()].map(objectiveToJson),
    sources: [...state.sources.values()],
    jobs: [...state.jobs.values()].map((job) => ({ ...job, pending: [...job.pending] })),
    names: [...state.names],
  }
  return json as Json
}

/** Back again. */
export function fromJson(json: Json): SlaState {
  const plain = json as StateJson
  return {
    ...plain,
    marks: [...plain.marks],
    objectives: new Map(
      plain.objectives.map((one) => [one.objective.objectiveId, objectiveFromJson(one)]),
    ),
    sources: new Map(plain.sources.map((source) => [source.source, source])),
    jobs: new Map(plain.jobs.map((job) => [job.jobId, { ...job, pending: new Map(job.pending) }])),
    names: new Map(plain.names),
  }
}
