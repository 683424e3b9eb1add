import { parseArgs } from 'node:util'
import { benchIdle } from './bench/idle.ts'
import { benchKafkaLog } from './bench/kafka-log.ts'
import { benchLog } from './bench/log.ts'
import { benchReplay } from './bench/replay.ts'
import { benchSim } from './bench/sim.ts'
import { benchSubmit } from './bench/submit.ts'
import { type BenchResult, commit, machine, printMetrics } from './report.ts'

const BENCHES: Readonly<
  Record<string, (options: { reps: number; seed: number }) => Promise<BenchResult>>
> = {
  log: benchLog,
  'kafka-log': benchKafkaLog,
  replay: benchReplay,
  sim: benchSim,
  submit: benchSubmit,
  idle: benchIdle,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    reps: { type: 'string', default: '5' },
    seed: { type: 'string', default: '7' },
  },
})
const [name = ''] = positionals
const bench = BENCHES[name]
if (bench === undefined || positionals.length !== 1) {
  console.error(
    `usage: npm run bench -- ${Object.keys(BENCHES).join('|')} [--json] [--reps N] [--seed N]`,
  )
  process.exit(2)
}
const seed = Number(values.seed)
const result = await bench({ reps: Number(values.reps), seed })
console.log(`bench ${name}, seed ${seed}, commit ${commit()}, ${JSON.stringify(machine())}`)
console.log(`settings ${JSON.stringify(result.settings)}`)
for (const line of result.checked) console.log(`  checked: ${line}`)
printMetrics(result.metrics)
if (values.json) {
  const { checked, metrics, settings } = result
  console.log(
    JSON.stringify({
      bench: name,
      commit: commit(),
      seed,
      machine: machine(),
      settings,
      checked,
      metrics,
    }),
  )
}
process.exit(0)
