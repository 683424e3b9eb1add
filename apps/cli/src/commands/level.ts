import { RaiseFeatureLevelResponse } from '@serverless-ai/contracts/admin/v1/admin'
import type { Command } from 'commander'
import { type Globals, resolveConnection } from '../context.ts'
import { table } from '../output/text.ts'
import { allServicesOf, askEveryone, type Seen, withService } from './replicas.ts'
import { answer, type CommandScope, wholeNumber, withGlobals } from './shared.ts'

/** Highest level that can be asked for: proto3's uint32 with room. */
const LEVEL_MAX = 1_000_000

interface RaiseOptions extends Globals {
  readonly service?: string
  readonly without?: string
  readonly dryRun?: boolean
}

function levelTable({ partitions, silent }: Seen): string {
  const rows = partitions.map(({ replica, address, partition }) => [
    `${partition.service}/${partition.partition}`,
    partition.featureLevel === 0 ? '-' : String(partition.featureLevel),
    replica,
    String(partition.knownFeatureLevel),
    partition.role,
    address,
  ])
  rows.sort((a, b) => (a.join(' ') < b.join(' ') ? -1 : 1))
  const missing = silent.map(({ address, reason }) => `no answer from ${address}: ${reason}\n`)
  const heading = ['SERVICE', 'LEVEL', 'REPLICA', 'KNOWS', 'ROLE', 'ADDRESS']
  const unseen = silent.length === 0 ? '' : 'what only they serve is not shown\n'
  return `${table([heading, ...rows])}${missing.join('')}${unseen}`
}

const levelJson = ({ partitions, silent }: Seen): unknown => ({
  partitions: partitions.map(({ replica, address, partition }) => {
    const { service, role, featureLevel, knownFeatureLevel } = partition
    const cell = partition.partition
    return { service, partition: cell, featureLevel, replica, knownFeatureLevel, role, address }
  }),
  silent,
})

/** What became of a service, and what its replicas know. */
function raisedText(
  service: string,
  { featureLevel, replicas }: RaiseFeatureLevelResponse,
): string {
  const known = replicas.map(({ replica, knownFeatureLevel, problem }) =>
    problem === '' ? `${replica} knows ${knownFeatureLevel}` : `${replica}: ${problem}`,
  )
  return `${service} is at feature level ${featureLevel} (${known.join(', ')})\n`
}

/** `sai admin level show|raise` */
export function addLevel(admin: Command, { io, checkout }: CommandScope): void {
  const level = admin
    .command('level')
    .description('feature levels: what new versions may write into the logs')
  const connectionOf = (globals: Globals) =>
    resolveConnection({ globals, io, checkout, prefer: 'admin' })

  withGlobals(level.command('show'))
    .description('level of each log, and what each replica knows')
    .action(async (options: Globals) => {
      const seen = await askEveryone(io, connectionOf(options))
      answer(io, options, { json: levelJson(seen), text: () => levelTable(seen) })
    })

  withGlobals(level.command('raise'))
    .description('allow what is new at this level, for good: older versions cannot lead any more')
    .argument('<level>', 'the level', wholeNumber('LEVEL', 1, LEVEL_MAX))
    .option('--service <name>', 'this service alone; default: all')
    .option('--without <replicas>', 'replicas that need not know it, with commas between')
    .option('--dry-run', 'only say whether it could be raised')
    .action(async (wanted: number, options: RaiseOptions) => {
      const connection = connectionOf(options)
      const seen = await askEveryone(io, connection)
      const services = options.service === undefined ? allServicesOf(seen) : [options.service]
      const without = (options.without ?? '').split(',').filter((name) => name !== '')
      const raise = (service: string, validateOnly: boolean) =>
        withService(io, connection, { seen, service }, ({ admin: platform }) =>
          platform.raiseFeatureLevel({ service, level: wanted, without, validateOnly }),
        )
      const raised = new Map<string, RaiseFeatureLevelResponse>()
      // All are looked at before the first is raised: there is no way back.
      for (const service of services) raised.set(service, await raise(service, true))
      if (options.dryRun !== true) {
        for (const service of services) raised.set(service, await raise(service, false))
      }
      const json = [...raised].map(([service, response]) => ({
        service,
        response: RaiseFeatureLevelResponse.toJSON(response),
      }))
      const dry = options.dryRun === true ? `all could be raised to ${wanted}\n` : ''
      const text = () => [...raised].map(([name, one]) => raisedText(name, one)).join('') + dry
      answer(io, options, { json: { services: json }, text })
    })
}
