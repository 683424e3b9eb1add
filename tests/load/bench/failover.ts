import { SERVICE_NAMES } from '@serverless-ai/hosting'
import { readExposition } from '../../e2e/telemetry/exposition.ts'
import { Cluster, type Replica } from '../../history/cluster.ts'
import {
  type Failover,
  type FailoversSeen,
  failoversOn,
  type Loss,
} from '../../history/failovers.ts'
import { LED, REPLICAS, TENANT } from '../../history/under-load.ts'
import { brokerText, type KafkaBroker } from '../../support/kafka-broker.ts'
import { cpuSeconds, memoryMib } from '../../support/process-tree.ts'
import { type BenchResult, type Metric, metric, middleOf, quantile } from '../report.ts'
import { type CpuUse, cpuPerThing, machineText, ownBroker, type Parts, watchCpu } from './cpu.ts'
import { Crowd, QUEUES, TASKS_PER_JOB } from './crowd.ts'
import { BenchFleet, DEVICES_PER_NODE, NODES, nodeNames } from './fleet.ts'

/** Callers besides the leaders that are lost. */
const USERS = 8
/** Leaders lost for one repetition: half of them die, half hang. */
const LOSSES_PER_REP = 4
/** From the loss of a leader to the first decision of the next one, and of a cold start, ms. */
const BUDGETS = { kill: 3_000, pause: 6_000, coldStart: 15_000 }

/** One start of everything after everything was killed. */
interface ColdStart {
  readonly readyMs: number
  readonly decisionMs: number
  /** What each replica took until it was ready. */
  readonly replicas: readonly string[]
  readonly cpu: CpuUse
}

/** Records of its log that a process folded on top of its snapshot. */
async function tailOf({ ip, port }: Replica): Promise<number> {
  const text = await (await fetch(`http://${ip}:${port + 1}/metrics`)).text()
  const samples = readExposition(text).get('sai_runtime_snapshot_age_records')?.samples ?? []
  return samples[0]?.value ?? Number.NaN
}

const partsOf = ({ replicas }: Cluster): Parts =>
  new Map([...replicas.map(({ name, pid }) => [name, pid] as const), ...ownBroker()])

async function coldStart(cluster: Cluster, crowd: Crowd): Promise<ColdStart> {
  await Promise.all(cluster.replicas.map((replica) => replica.kill()))
  const use = watchCpu(() => partsOf(cluster))
  const startedMs = performance.now()
  for (const replica of cluster.replicas) replica.start()
  const decided = crowd.decision().then(() => performance.now() - startedMs)
  const ready = cluster.replicas.map(async (replica) => {
    await replica.ready()
    const ms = performance.now() - startedMs
    const seconds = `${(ms / 1_000).toFixed(1)} s`
    const cpu = `CPU ${cpuSeconds(replica.pid).toFixed(1)} s`
    const text = `${replica.name} ${seconds} (${cpu}, tail of ${await tailOf(replica)} records)`
    return { ms, text }
  })
  const [decisionMs, ...each] = await Promise.all([decided, ...ready])
  return {
    decisionMs,
    readyMs: Math.max(...each.map(({ ms }) => ms)),
    replicas: each.map(({ text }) => text),
    cpu: use(),
  }
}

/** Ends leaders in order, so that each writes a snapshot of what it has. */
async function snapshots(cluster: Cluster): Promise<void> {
  for (const replica of LED.flatMap((service) => cluster.of(service))) {
    await replica.stop()
    replica.start()
    await replica.ready()
  }
}

/**
 * From the loss of a leader to the first answer to a submission that came after it, ms: mediator
 * and scheduler have both written for it.
 */
function answerMs({ history }: FailoversSeen, { lostMs }: Failover): number {
  const after = history.filter(
    (one) => one.kind === 'submit' && one.outcome === 'accepted' && one.invokedMs >= lostMs,
  )
  return Math.min(...after.map(({ returnedMs }) => returnedMs)) - lostMs
}

interface Measured {
  readonly fillSeconds: number
  readonly seen: FailoversSeen
  readonly lossesCpu: CpuUse
  readonly coldStarts: readonly ColdStart[]
  readonly peakMib: ReadonlyMap<string, number>
  readonly tasks: number
}

async function measure(
  cluster: Cluster,
  crowd: Crowd,
  { reps, seed, tasks }: { reps: number; seed: number; tasks: number },
): Promise<Measured> {
  const say = (line: string): void => console.error(line)
  const filledMs = performance.now()
  await crowd.fill(tasks)
  const fillSeconds = (performance.now() - filledMs) / 1_000
  say(`${crowd.tasks} tasks after ${fillSeconds.toFixed(1)} s`)
  await snapshots(cluster)
  const use = watchCpu(ownBroker)
  const seen = await failoversOn(cluster, {
    ...{ seed, failovers: LOSSES_PER_REP * reps, users: USERS, say },
  })
  const lossesCpu = use()
  const [wrong] = [...seen.anomalies.map(({ message }) => message), ...seen.problems]
  if (wrong !== undefined) throw new Error(wrong)
  const peakMib = new Map(
    LED.map((service) => {
      const peaks = cluster.of(service).map(({ pid }) => memoryMib(pid).peak)
      return [service, Math.max(...peaks)] as const
    }),
  )
  const coldStarts: ColdStart[] = []
  for (let rep = 0; rep < reps; rep += 1) {
    coldStarts.push(await coldStart(cluster, crowd))
    say(`cold start ${rep + 1}/${reps}: ${coldStarts.at(-1)?.replicas.join(', ')}`)
  }
  await crowd.allThere()
  return { fillSeconds, seen, lossesCpu, coldStarts, peakMib, tasks: crowd.tasks }
}

const replicasOf: Readonly<Record<string, number>> = REPLICAS
/** `mediator 2, scheduler 2, pool-manager 1`. */
const processesText = SERVICE_NAMES.map((name) => `${name} ${replicasOf[name] ?? 1}`).join(', ')

const WORDS = { kill: 'death', pause: 'hang' } as const

function metricsOfLoss(seen: FailoversSeen, loss: Loss): readonly Metric[] {
  const of = seen.failovers.filter((one) => one.loss === loss)
  const decisions = of.map(({ ms }) => ms)
  const answers = of.map((one) => answerMs(seen, one))
  const budget = BUDGETS[loss]
  const name = WORDS[loss]
  const lower = { better: 'lower' } as const
  return [
    metric(`${name}_to_first_decision_p50`, 'ms', decisions, lower),
    metric(`${name}_to_first_decision_max`, 'ms', [Math.max(...decisions)], { ...lower, budget }),
    metric(`${name}_to_first_answer_p50`, 'ms', answers, lower),
    metric(`${name}_to_first_answer_max`, 'ms', [Math.max(...answers)], lower),
  ]
}

function lossText({ failovers }: FailoversSeen, loss: Loss): string {
  const of = failovers.filter((one) => one.loss === loss)
  const middle = (part: (one: Failover) => number): number =>
    Math.round(quantile(of.map(part), 0.5))
  const claim = middle(({ claimMs }) => claimMs)
  const rest = middle(({ ms, claimMs }) => ms - claimMs)
  const until = `${claim} ms until another replica claims`
  return `${WORDS[loss]}: ${until}, ${rest} ms from there to its first decision (p50)`
}

function limitsOf({ seen, lossesCpu, coldStarts }: Measured): readonly string[] {
  const { replicas, cpu } = middleOf(coldStarts, ({ decisionMs }) => decisionMs)
  const each = cpuPerThing(lossesCpu, lossesCpu.wallSeconds)
  const others = `${machineText(lossesCpu)} (the services are among it)`
  return [
    lossText(seen, 'kill'),
    lossText(seen, 'pause'),
    `losses: CPU ms of each second: ${each}; ${others}`,
    `cold start: ready after ${replicas.join(', ')}; ${machineText(cpu)}`,
  ]
}

/**
 * A cell full of jobs: its leaders die and hang under load, then everything is killed and started
 * again. Times to the first decision of whoever comes next.
 */
export async function benchFailover(
  options: { reps: number; seed: number; tasks: number },
  broker: KafkaBroker,
): Promise<BenchResult> {
  const cluster = await Cluster.start({
    ...{ brokers: broker.brokers, replicationFactor: 1, replicas: REPLICAS, tenant: TENANT },
    nodes: nodeNames(),
  })
  const crowd = new Crowd(cluster)
  try {
    const { admin, nodes: tokens } = cluster.tokens
    const fleet = await BenchFleet.start({
      ...{ address: cluster.addressOf('pool-manager'), admin, tokens, devices: DEVICES_PER_NODE },
    })
    try {
      return resultOf(await measure(cluster, crowd, options), options, broker)
    } finally {
      await fleet.stop()
    }
  } finally {
    await crowd.close()
    await cluster.close()
  }
}

function resultOf(
  measured: Measured,
  { reps }: { reps: number },
  broker: KafkaBroker,
): BenchResult {
  const { seen, coldStarts, fillSeconds, peakMib, tasks } = measured
  const lower = { better: 'lower' } as const
  const ready = coldStarts.map(({ readyMs }) => readyMs / 1_000)
  const decision = coldStarts.map(({ decisionMs }) => decisionMs / 1_000)
  const budget = BUDGETS.coldStart / 1_000
  return {
    settings: {
      log: `kafka (${brokerText(broker)}), one copy, acks=all`,
      processes: processesText,
      agents: `${NODES} bench agents that start nothing, ${DEVICES_PER_NODE} emulated devices each`,
      tasks,
      tasksPerJob: TASKS_PER_JOB,
      queues: QUEUES,
      users: USERS,
      losses: seen.failovers.length,
      coldStarts: coldStarts.length,
      reps,
    },
    checked: [
      `${seen.operations} operations during the losses: none lost, twice, reordered, torn or stale`,
      'every job that was acknowledged is listed after the last cold start',
    ],
    limits: limitsOf(measured),
    metrics: [
      ...metricsOfLoss(seen, 'kill'),
      ...metricsOfLoss(seen, 'pause'),
      metric('cold_start_to_ready', 's', ready, lower),
      metric('cold_start_to_first_decision', 's', decision, { ...lower, budget }),
      metric('tasks_submitted_per_second', '1/s', [tasks / fillSeconds], { better: 'higher' }),
      ...[...peakMib].map(([service, mib]) => metric(`${service}_peak_rss`, 'MiB', [mib], lower)),
    ],
  }
}
