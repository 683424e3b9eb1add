/**
 * The all-in-one as users start it, on ports that end the process at an ordered moment, with
 * supervisors and agents that can be ordered so too. The product itself knows nothing of it.
 */
import {
  allInOneConfig,
  nodeIdsOf,
  QUICKSTART_TENANTS,
  startPlatform,
} from '@serverless-ai/all-in-one'
import { loadConfigOrExit } from '@serverless-ai/config'
import { openPlatform, systemPorts } from '@serverless-ai/hosting'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { armChildren } from './arm-children.ts'
import { CrashLog } from './crash-log.ts'
import { crashingDisk, crashingTransport } from './crash-ports.ts'
import { STALL_VARIABLE } from './moments.ts'
import { Trap } from './trap.ts'

/** Snapshots come often here, so that kills meet them. */
const SNAPSHOT_EVERY_COMMITS = 8

const config = loadConfigOrExit('crash-main', allInOneConfig)
const trap = new Trap(config.data)
armChildren()
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
const stalled = process.env[STALL_VARIABLE] ?? ''
const options = {
  ...opened.options,
  eventLog: new CrashLog(opened.options.eventLog, { trap, timers: ports.timers, stalled }),
  transport: crashingTransport(createGrpcTransport({ clock: ports.clock }), trap),
  runtime: { snapshotEveryCommits: SNAPSHOT_EVERY_COMMITS },
}
const say = (line: string) => void process.stdout.write(`${line}\n`)
const platform = await startPlatform(config, { say }, { opened: { ...opened, options } })
let stopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) return
    stopping = true
    void platform.stop().then(() => process.exit(0))
  })
}
