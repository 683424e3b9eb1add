import { Queue } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { CliError } from '../exit.ts'
import { resources } from '../output/text.ts'
import { answer, type CommandScope, wholeNumber, withGlobals } from './shared.ts'

interface CreateOptions extends Globals {
  readonly tenant: string
  readonly weight: number
  readonly priority: number
  readonly maxDevices: number
  readonly maxCpu: number
  readonly maxMemory: number
}

/** Parses an amount with a unit into whole parts of the smallest one. */
function amountOf(name: string, factors: ReadonlyMap<string, number>, hint: string) {
  return (text: string): number => {
    const [, digits, unit = ''] = /^(\d{1,12}(?:\.\d{1,6})?)([A-Za-z]*)$/.exec(text) ?? []
    const factor = factors.get(unit)
    const value = Math.ceil(Number(digits) * (factor ?? 0))
    if (factor !== undefined && value >= 1 && value <= 1e9) return value
    throw new CliError('USAGE', `${name} takes ${hint}, not "${text}"`)
  }
}

const CPU = new Map([
  ['', 1000],
  ['m', 1],
])
const MEMORY = new Map([
  ['Mi', 1],
  ['Gi', 1024],
  ['Ti', 1024 * 1024],
])
const maxCpu = amountOf('--max-cpu', CPU, 'cores (2 or 0.5) or thousandths (500m)')
const maxMemory = amountOf('--max-memory', MEMORY, 'Mi, Gi or Ti, for example 64Gi')

/** `sai queue create` */
export function addQueueCreate(queue: Command, { io, checkout }: CommandScope): void {
  withGlobals(queue.command('create'))
    .description('make a queue (operators)')
    .argument('<name>', '1 to 63 of a-z, 0-9 and "-"')
    .requiredOption('--tenant <tenant>', 'tenant that may submit to it')
    .option(
      '--weight <n>',
      'share among queues of the same priority',
      wholeNumber('--weight', 1, 1000),
      1,
    )
    .option('--priority <n>', 'higher goes first', wholeNumber('--priority', -1000, 1000), 0)
    .option(
      '--max-devices <n>',
      'most devices its running jobs may hold; 0 = no maximum',
      wholeNumber('--max-devices', 0, 16_384),
      0,
    )
    .option('--max-cpu <amount>', 'most CPU: 500m, 64', maxCpu, 0)
    .option('--max-memory <amount>', 'most memory: 512Mi, 256Gi', maxMemory, 0)
    .action(async (name: string, options: CreateOptions) => {
      // Operators only: without another wish the operator's context is taken.
      const connection = resolveConnection({ globals: options, io, checkout, prefer: 'admin' })
      const { tenant, weight, priority, maxDevices: devices } = options
      const cpuMillis = BigInt(options.maxCpu)
      const maximum = { devices, cpuMillis, memoryMib: BigInt(options.maxMemory) }
      const made = await withPlatform(io, connection, (platform) =>
        platform.createQueue({ name, tenant, weight, priority, maximum }),
      )
      const rules = `weight ${made.weight}, priority ${made.priority}`
      const most = made.maximum === undefined ? '' : resources(made.maximum)
      answer(io, options, {
        json: Queue.toJSON(made),
        text: () =>
          `queue ${made.name} of tenant ${made.tenant}: ${rules}, ` +
          `${most === '' ? 'no maximum' : `at most ${most}`}\n`,
      })
    })
}
