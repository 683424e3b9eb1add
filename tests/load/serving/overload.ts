import { stringify } from 'yaml'
import { uploadExample } from '../../support/digits.ts'
import { type Answer, type Kind, type Load, openLoop } from '../gateway/open-loop.ts'
import { quantile } from '../report.ts'
import { Edge, statusesOf } from './edge.ts'

/** Replicas, and requests that each is given at once. */
const REPLICAS = 2
const CONCURRENCY = 8
/** Tokens of a question and of its answer; four characters are a token. */
const QUESTION = 'word '.repeat(160)
const ANSWER_TOKENS = 32
/** The emulated machine is so much faster than the measured one. */
const SPEED = 2
const LOOP_MS = 25_000
/** What of a loop is looked at: queues are full by then. */
const SETTLED_MS = 5_000
/** Time of a request: those of the lower classes that cannot make it are refused. */
const CLASS_TIMEOUT_MS = 4_000
/** So long that a line which grows does not run empty by that: shares are those of who waits. */
const TENANT_TIMEOUT_MS = 30_000
/** Requests that come for each that is answered, at least. */
const OVERLOAD_MIN = 2
/**
 * Parts of the capacity that the classes ask for. So much more than twice of it in all that more
 * than twice as many come as are answered: those that wait at the end are answered, too, and what
 * was measured as the capacity may be a little less than it.
 */
const PARTS = { interactive: 0.3, standard: 1.2, batch: 1.2 } as const
type Class = keyof typeof PARTS

const TENANTS = Array.from({ length: 10 }, (_, index) => `t${index}`)
const WEIGHTS = Object.fromEntries(TENANTS.map((name, index) => [name, index % 2 === 0 ? 1 : 2]))

/** A running language model (emulated) behind the edge. */
async function start(timeoutMs: number): Promise<Edge> {
  const edge = await Edge.start({
    nodes: 1,
    devicesPerNode: REPLICAS,
    leaseMs: 15_000,
    tenants: TENANTS,
    edge: {
      weights: WEIGHTS,
      shared: ['team-a/llm'],
      timeoutMs,
      heldPerTenant: 64,
      heldPerService: 1_024,
    },
  })
  try {
    const workspace = await uploadExample(edge.team, 'llm-emulator', [
      'dist',
      'data',
      'package.json',
    ])
    const jobId = await edge.submit(
      stringify({
        apiVersion: 'serverlessai.job/v1',
        kind: 'Job',
        metadata: { name: 'llm' },
        spec: {
          type: 'Inference',
          queue: 'team-a',
          command: ['node', 'dist/main.js', '--speed', String(SPEED)],
          workspace,
          resources: { devices: 1, cpu: '100m', memory: '128Mi' },
          replicas: { min: 0, max: REPLICAS, initial: 0 },
          serve: {
            protocol: 'openai',
            concurrency: CONCURRENCY,
            readiness: { httpGet: '/healthz', period: '200ms' },
          },
        },
      }),
    )
    await edge.scale(jobId, REPLICAS)
    return edge
  } catch (error) {
    await edge.close()
    throw error
  }
}

function question(edge: Edge, tenant: string, className: string): Kind {
  const body = JSON.stringify({
    model: 'team-a/llm',
    max_tokens: ANSWER_TOKENS,
    messages: [{ role: 'user', content: QUESTION }],
  })
  const headers = {
    ...edge.headers(tenant),
    'content-type': 'application/json',
    'x-sai-class': className,
  }
  return { url: `${edge.url}/v1/chat/completions`, agent: edge.agent, headers, body }
}

const settled = (answers: readonly Answer[]) =>
  answers.filter(({ dueMs }) => dueMs >= SETTLED_MS && dueMs < LOOP_MS)
const good = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200)

/** Requests per second that end well while far too many come. */
async function capacityOf(edge: Edge, seed: number): Promise<number> {
  const load: Load = { ...question(edge, 'team-a', 'standard'), rate: 150 }
  const durationMs = 10_000
  const answers = await openLoop(load, { seed, durationMs })
  const [fromMs, untilMs] = [3_000, durationMs]
  const ended = good(answers).filter(({ dueMs, latencyMs }) => {
    const atMs = dueMs + latencyMs
    return atMs >= fromMs && atMs < untilMs
  })
  return (ended.length * 1_000) / (untilMs - fromMs)
}

/** What overload by class came to. */
export interface ByClass {
  readonly capacityPerSecond: number
  readonly unloadedMsP99: number
  readonly objectiveMs: number
  /** Part of the requests that were answered within the objective: alone, and under load. */
  readonly goodputAlone: number
  readonly goodput: number
  readonly ofUnloaded: number
  /** Part of each class that was answered. */
  readonly served: Readonly<Record<Class, number>>
  /** How often each status came, by class. */
  readonly statuses: Readonly<Record<Class, Readonly<Record<string, number>>>>
  readonly requests: number
  /** Requests that came for each that was answered. */
  readonly overload: number
}

/**
 * More than twice the capacity in three classes. Throws unless the highest keeps what it has alone,
 * and the lowest gives way first.
 */
export async function overloadByClass(options: { readonly seed: number }): Promise<ByClass> {
  const edge = await start(CLASS_TIMEOUT_MS)
  try {
    const { seed } = options
    const capacity = await capacityOf(edge, seed)
    const of = (name: Class): Load => ({
      ...question(edge, 'team-a', name),
      rate: capacity * PARTS[name],
    })
    const about = (index: number) => ({ seed: seed + index, durationMs: LOOP_MS })
    const alone = settled(await openLoop(of('interactive'), about(1)))
    const unloadedMsP99 = quantile(
      alone.map(({ latencyMs }) => latencyMs),
      0.99,
    )
    // A request in flight has to end before one of the highest class gets its place.
    const objectiveMs = Math.ceil(unloadedMsP99 * 2)
    const names = ['interactive', 'standard', 'batch'] as const
    // The same arrivals of the highest class as alone.
    const loops = await Promise.all(names.map((name, at) => openLoop(of(name), about(at + 1))))
    const [top] = loops.map(settled)
    const within = (answers: readonly Answer[]) =>
      good(answers).filter(({ latencyMs }) => latencyMs <= objectiveMs).length / answers.length
    const served = (at: number) => {
      const seen = settled(loops[at] ?? [])
      return Number((good(seen).length / seen.length).toFixed(4))
    }
    const [goodputAlone, goodput] = [within(alone), within(top ?? [])]
    const result: ByClass = {
      capacityPerSecond: Number(capacity.toFixed(1)),
      unloadedMsP99: Math.round(unloadedMsP99),
      objectiveMs,
      goodputAlone: Number(goodputAlone.toFixed(4)),
      goodput: Number(goodput.toFixed(4)),
      ofUnloaded: Number((goodput / goodputAlone).toFixed(4)),
      served: { interactive: served(0), standard: served(1), batch: served(2) },
      statuses: {
        interactive: statusesOf(loops[0] ?? []),
        standard: statusesOf(loops[1] ?? []),
        batch: statusesOf(loops[2] ?? []),
      },
      requests: loops.reduce((sum, answers) => sum + answers.length, 0),
      overload: Number((loops.flat().length / good(loops.flat()).length).toFixed(2)),
    }
    refuse(result)
    return result
  } finally {
    await edge.close()
  }
}

function refuse({ ofUnloaded, served, overload }: ByClass): void {
  const { interactive, standard, batch } = served
  const found = JSON.stringify({ ofUnloaded, served, overload })
  if (overload < OVERLOAD_MIN) throw new Error(`the machine became faster meanwhile: ${found}`)
  if (ofUnloaded < 0.95) throw new Error(`the highest class keeps too little: ${found}`)
  if (interactive < 0.999) throw new Error(`the highest class is shed: ${found}`)
  // The lowest gets what the middle one leaves: nearly nothing, unless that has all it asks for.
  if (batch > 0.05 && standard < 0.95) throw new Error(`not shed by class: ${found}`)
}

/** What fairness came to. */
export interface Shares {
  readonly capacityPerSecond: number
  readonly requests: number
  readonly servedPerTenant: Readonly<Record<string, number>>
  readonly statuses: Readonly<Record<string, number>>
  readonly worstShareOffBy: number
}

/** Ten tenants, one with fifty times the load of each other, weights 1 and 2. */
export async function fairShares(options: { readonly seed: number }): Promise<Shares> {
  const edge = await start(TENANT_TIMEOUT_MS)
  try {
    const { seed } = options
    const capacity = await capacityOf(edge, seed)
    const sum = Object.values(WEIGHTS).reduce((total, weight) => total + weight, 0)
    // Each asks for twice the share of the heavier ones, the first for fifty times as much.
    const rate = ((capacity * 2) / sum) * 2
    const loops = await Promise.all(
      TENANTS.map(async (tenant, index) => {
        const kind = question(edge, tenant, 'standard')
        const load = { ...kind, rate: index === 0 ? rate * 50 : rate }
        return openLoop(load, { seed: seed + index, durationMs: LOOP_MS })
      }),
    )
    // By when they were served, not by when they came.
    const counts = loops.map(
      (answers) =>
        good(answers).filter(({ dueMs, latencyMs }) => {
          const atMs = dueMs + latencyMs
          return atMs >= SETTLED_MS && atMs < LOOP_MS
        }).length,
    )
    const total = counts.reduce((all, count) => all + count, 0)
    const off = TENANTS.map((tenant, index) =>
      Math.abs((counts[index] ?? 0) / total / ((WEIGHTS[tenant] ?? 1) / sum) - 1),
    )
    const worst = Math.max(...off)
    const servedPerTenant = Object.fromEntries(TENANTS.map((name, at) => [name, counts[at] ?? 0]))
    if (worst > 0.1) {
      throw new Error(`a share is off by ${worst.toFixed(3)}: ${JSON.stringify(servedPerTenant)}`)
    }
    return {
      capacityPerSecond: Number(capacity.toFixed(1)),
      requests: loops.reduce((all, answers) => all + answers.length, 0),
      servedPerTenant,
      statuses: statusesOf(loops.flat()),
      worstShareOffBy: Number(worst.toFixed(4)),
    }
  } finally {
    await edge.close()
  }
}
