/**
 * The all-in-one as users start it, on ports that end the process at an ordered moment, with
 * supervisors and agents that can be ordered so too. The product itself knows nothing of it.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  allInOneConfig,
  nodeIdsOf,
  QUICKSTART_TENANTS,
  type RunningPlatform,
  startPlatform,
} from '@serverless-ai/all-in-one'
import { startDistributed } from '@serverless-ai/all-in-one/distributed'
import { loadConfigOrExit } from '@serverless-ai/config'
import { openPlatform, systemPorts, usesKafka } from '@serverless-ai/hosting'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { armChildren } from './arm-children.ts'
import { CrashLog } from './crash-log.ts'
import { crashingDisk, crashingTransport } from './crash-ports.ts'
import { SNAPSHOT_EVERY_COMMITS, STALL_FILE, STALL_VARIABLE } from './moments.ts'
import { Trap } from './trap.ts'

const aliases = { '--kafka': '--kafka.brokers' }
const config = loadConfigOrExit('crash-main', allInOneConfig, { aliases })
const stalled = process.env[STALL_VARIABLE] ?? ''
armChildren()
const say = (line: string) => void process.stdout.write(`${line}\n`)

/** On Kafka the services are processes of their own, each with ports that may end it. */
function startServices(): Promise<RunningPlatform> {
  const stallFile = join(config.data, STALL_FILE)
  if (stalled === '') rmSync(stallFile, { force: true })
  else writeFileSync(stallFile, stalled)
  const main = fileURLToPath(new URL('./crash-service.js', import.meta.url))
  return startDistributed(config, { say }, { mains: () => main })
}

async function startOne(): Promise<RunningPlatform> {
  const trap = new Trap(config.data)
  const system = systemPorts('all-in-one', config.logLevel)
  const ports = { ...system, disk: crashingDisk(system.disk, trap) }
  const nodes = nodeIdsOf(config)
  const opened = await openPlatform({
    config,
    ports,
    tenants: QUICKSTART_TENANTS,
    nodes,
    peers: {},
    required: [],
  })
  const options = {
    ...opened.options,
    eventLog: new CrashLog(opened.options.eventLog, { trap, timers: ports.timers, stalled }),
    transport: crashingTransport(createGrpcTransport({ clock: ports.clock }), trap),
    runtime: { snapshotEveryCommits: SNAPSHOT_EVERY_COMMITS },
  }
  return startPlatform(config, { say }, { opened: { ...opened, options } })
}

const platform = await (usesKafka(config) ? startServices() : startOne())
let stopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    void platform.stop().then(() => process.exit(0))
  })
}
