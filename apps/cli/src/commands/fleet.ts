import type { PlatformClient } from '@serverless-ai/client'
import { ListNodesResponse, type Node, Node_State } from '@serverless-ai/contracts/pool/v1/pool'
import { ListQueuesResponse, type QueueStatus } from '@serverless-ai/contracts/schedule/v1/schedule'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import { age, cpu, memory, plain, resources, table } from '../output/text.ts'
import { addQueueCreate } from './queue-create.ts'
import { answer, type CommandScope, withGlobals } from './shared.ts'

/** Pages read before a list is cut, 1,000 entries each. */
const PAGES_MAX = 100

const NODE_WORDS: ReadonlyMap<number, string> = new Map([
  [Node_State.READY, 'Ready'],
  [Node_State.DISCONNECTED, 'Disconnected'],
  [Node_State.LOST, 'Lost'],
])

function devices({ inventory, devicesUsed }: Node): string {
  const all = inventory?.devices ?? []
  if (all.length === 0) return '-'
  const byModel = Map.groupBy(
    all,
    ({ model, emulated }) => `${model}${emulated ? ' (EMULATED)' : ''}`,
  )
  const models = [...byModel].map(([model, of]) => `${of.length} ${plain(model)}`).join(', ')
  const broken = all.filter(({ healthy }) => !healthy).length
  return `${devicesUsed}/${all.length} used: ${models}${broken === 0 ? '' : `, ${broken} broken`}`
}

function nodeRow(node: Node, nowMs: number): string[] {
  const { inventory, clockSkewMs } = node
  const skew = clockSkewMs === 0n ? '' : `clock off by ${Number(clockSkewMs) / 1000} s`
  return [
    node.nodeId,
    NODE_WORDS.get(node.state) ?? String(node.state),
    devices(node),
    cpu(inventory?.cpuMillis ?? 0n),
    memory(inventory?.memoryMib ?? 0n),
    inventory?.address ?? '-',
    age(node.sinceMs, nowMs),
    plain([inventory?.isolation ?? '', skew].filter(Boolean).join('; ')),
  ]
}

async function allPages<T>(
  read: (pageToken: string) => Promise<{ items: readonly T[]; nextPageToken: string }>,
): Promise<T[]> {
  const all: T[] = []
  let pageToken = ''
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { items, nextPageToken } = await read(pageToken)
    all.push(...items)
    if (nextPageToken === '') break
    pageToken = nextPageToken
  }
  return all
}

function nodesOf(platform: PlatformClient): Promise<Node[]> {
  return allPages(async (pageToken) => {
    const request = { pageSize: 1000, pageToken, minPosition: '' }
    const { nodes, nextPageToken } = await platform.pool.listNodes(request)
    return { items: nodes, nextPageToken }
  })
}

function queuesOf(platform: PlatformClient): Promise<QueueStatus[]> {
  return allPages(async (pageToken) => {
    const request = { pageSize: 1000, pageToken, minPosition: '' }
    const { queues, nextPageToken } = await platform.queues.listQueues(request)
    return { items: queues, nextPageToken }
  })
}

function queueRow({ queue, queuedJobs, runningJobs, used }: QueueStatus): string[] {
  return [
    queue?.name ?? '',
    queue?.tenant ?? '',
    String(queue?.weight ?? 0),
    String(queue?.priority ?? 0),
    String(queuedJobs),
    String(runningJobs),
    (used && resources(used)) || '-',
    (queue?.maximum && resources(queue.maximum)) || 'no maximum',
  ]
}

/** `sai node …` and `sai queue …` */
export function addFleet(program: Command, scope: CommandScope): void {
  const { io, checkout } = scope
  const node = program.command('node').description('nodes of the fleet')
  withGlobals(node.command('list'))
    .description('list nodes with their devices; emulated ones are labelled')
    .action(async (options: Globals) => {
      const connection = resolveConnection({ globals: options, io, checkout })
      const nodes = await withPlatform(io, connection, nodesOf)
      const heading = ['NODE', 'STATE', 'DEVICES', 'CPU', 'MEMORY', 'ADDRESS', 'SINCE', 'NOTES']
      const rows = () => nodes.map((known) => nodeRow(known, io.clock.wallMs()))
      const text = () => (nodes.length === 0 ? 'no nodes\n' : table([heading, ...rows()]))
      const json = ListNodesResponse.toJSON({ nodes, nextPageToken: '', position: '' })
      answer(io, options, { json, text })
    })
  const queue = program.command('queue').description('queues of the tenants')
  addQueueCreate(queue, scope)
  withGlobals(queue.command('list'))
    .description('list queues with their load')
    .action(async (options: Globals) => {
      const connection = resolveConnection({ globals: options, io, checkout })
      const queues = await withPlatform(io, connection, queuesOf)
      const heading = [
        'QUEUE',
        'TENANT',
        'WEIGHT',
        'PRIORITY',
        'QUEUED',
        'RUNNING',
        'USED',
        'MAXIMUM',
      ]
      const text = () =>
        queues.length === 0 ? 'no queues\n' : table([heading, ...queues.map(queueRow)])
      const json = ListQueuesResponse.toJSON({ queues, nextPageToken: '', position: '' })
      answer(io, options, { json, text })
    })
}
