import { parseArgs } from 'node:util'
import { FlagError, wholeNumber, withNegatives } from '../support/flags.ts'
import { type KafkaBroker, startKafkaBroker } from '../support/kafka-broker.ts'
import { benchFailover } from './bench/failover.ts'
import { benchGateway } from './bench/gateway.ts'
import { benchIdle } from './bench/idle.ts'
import { benchKafkaLog } from './bench/kafka-log.ts'
import { benchLog } from './bench/log.ts'
import { benchReplay } from './bench/replay.ts'
import { benchSampler } from './bench/sampler.ts'
import { benchSim } from './bench/sim.ts'
import { benchKafkaSubmit, benchSubmit } from './bench/submit.ts'
import { warmUp } from './bench/warm-broker.ts'
import { type BenchResult, commit, machine, printMetrics } from './report.ts'

interface Options {
  readonly reps: number
  readonly seed: number
  /** Of the benchmarks that have a size. */
  readonly tasks: number
}

type Bench = (options: Options) => Promise<BenchResult>
type KafkaBench = (options: Options, broker: KafkaBroker) => Promise<BenchResult>

const EMBEDDED: Readonly<Record<string, Bench>> = {
  log: benchLog,
  submit: benchSubmit,
  replay: benchReplay,
  sim: benchSim,
  idle: benchIdle,
  gateway: benchGateway,
  sampler: benchSampler,
}
/** With `--kafka`; what is not above runs on Kafka without it, too. */
const ON_KAFKA: Readonly<Record<string, KafkaBench>> = {
  log: benchKafkaLog,
  submit: benchKafkaSubmit,
  failover: benchFailover,
}
const NAMES = [...new Set([...Object.keys(EMBEDDED), ...Object.keys(ON_KAFKA)])]

const USAGE = `usage: npm run bench -- ${NAMES.join('|')} … [OPTIONS]
  --kafka     ${Object.keys(ON_KAFKA).join(', ')} on Kafka; failover is so without it, too
  --json      each result as one line of JSON, too
  --reps N    repetitions, 5 by default
  --seed S    7 by default
  --tasks N   tasks of failover, 1,000,000 by default`

function fail(text: string): never {
  console.error(`${text}\n${USAGE}`)
  process.exit(2)
}

function readFlags() {
  try {
    const { values, positionals } = parseArgs({
      args: withNegatives(process.argv.slice(2)),
      allowPositionals: true,
      options: {
        kafka: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        reps: { type: 'string' },
        seed: { type: 'string' },
        tasks: { type: 'string' },
      },
    })
    const options = {
      reps: wholeNumber(values.reps, 'reps', 1) ?? 5,
      seed: wholeNumber(values.seed, 'seed', 0) ?? 7,
      tasks: wholeNumber(values.tasks, 'tasks', 1) ?? 1_000_000,
    }
    const given = (['reps', 'seed', 'tasks'] as const).flatMap((flag) =>
      values[flag] === undefined ? [] : [` --${flag} ${values[flag]}`],
    )
    const { kafka, json } = values
    return { names: positionals, options, kafka, json, given: given.join('') }
  } catch (error) {
    if (error instanceof FlagError || error instanceof TypeError) fail(error.message)
    throw error
  }
}

const { names, options, kafka, json, given } = readFlags()
if (names.length === 0) fail('which benchmark?')
for (const name of names) {
  if (!NAMES.includes(name)) fail(`there is no benchmark "${name}"`)
  if (kafka && !Object.hasOwn(ON_KAFKA, name)) fail(`${name} does not run on Kafka`)
}

/** On brokers of its own where it needs some: nothing of the one before is left. */
async function run(name: string): Promise<{ title: string; result: BenchResult }> {
  const embedded = kafka ? undefined : EMBEDDED[name]
  if (embedded !== undefined) return { title: name, result: await embedded(options) }
  const broker = await startKafkaBroker()
  try {
    await warmUp(broker)
    const title = Object.hasOwn(EMBEDDED, name) ? `kafka-${name}` : name
    return { title, result: await ON_KAFKA[name]!(options, broker) }
  } finally {
    await broker.stop()
  }
}

for (const name of names) {
  const { title, result } = await run(name)
  const { seed } = options
  const { checked, limits = [], metrics, settings } = result
  console.log(`bench ${title}, seed ${seed}, commit ${commit()}, ${JSON.stringify(machine())}`)
  console.log(`settings ${JSON.stringify(settings)}`)
  for (const line of checked) console.log(`  checked: ${line}`)
  printMetrics(metrics)
  for (const line of limits) console.log(`  limits: ${line}`)
  if (!json) continue
  const command = `npm run bench -- ${name}${kafka ? ' --kafka' : ''} --json${given}`
  const about = { command, bench: title, commit: commit(), seed, machine: machine() }
  const told = limits.length === 0 ? {} : { limits }
  console.log(JSON.stringify({ ...about, settings, checked, metrics, ...told }))
}
process.exit(0)
