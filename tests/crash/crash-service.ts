/**
 * A service as it starts alone, on ports that end the process at an ordered moment: what
 * `crash-main` runs of each replica on Kafka. The product itself knows nothing of it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { autoscalerService } from '@serverless-ai/autoscaler'
import { faultToleranceService } from '@serverless-ai/fault-tolerance'
import { runService, type ServiceWrap } from '@serverless-ai/hosting'
import { mediatorService } from '@serverless-ai/mediator'
import { poolManagerService } from '@serverless-ai/pool-manager'
import { resourceProfilerService } from '@serverless-ai/resource-profiler'
import { createGrpcTransport } from '@serverless-ai/rpc'
import { schedulerService } from '@serverless-ai/scheduler'
import { slaMonitorService } from '@serverless-ai/sla-monitor'
import { CrashLog } from './crash-log.ts'
import { crashingDisk, crashingTransport } from './crash-ports.ts'
import { SNAPSHOT_EVERY_COMMITS, STALL_FILE } from './moments.ts'
import { Trap } from './trap.ts'

// DATA/processes/<service>-<replica>.json
const file = process.argv[process.argv.indexOf('--config') + 1] ?? ''
const dataDir = dirname(dirname(file))
const service = basename(file).replace(/-r\d+\.json$/, '')
const stallFile = join(dataDir, STALL_FILE)
const stalled = existsSync(stallFile) ? readFileSync(stallFile, 'utf8') : ''
const trap = new Trap(dataDir)

const wrap: ServiceWrap = {
  ports: (ports) => ({ ...ports, disk: crashingDisk(ports.disk, trap) }),
  options(options) {
    const { timers, clock } = options.ports
    return {
      ...options,
      eventLog: new CrashLog(options.eventLog, { trap, timers, stalled }),
      transport: crashingTransport(createGrpcTransport({ clock }), trap),
      runtime: { ...options.runtime, snapshotEveryCommits: SNAPSHOT_EVERY_COMMITS },
    }
  },
}

switch (service) {
  case 'mediator':
    await runService(mediatorService, wrap)
    break
  case 'scheduler':
    await runService(schedulerService, wrap)
    break
  case 'pool-manager':
    await runService(poolManagerService, wrap)
    break
  case 'fault-tolerance':
    await runService(faultToleranceService, wrap)
    break
  case 'sla-monitor':
    await runService(slaMonitorService, wrap)
    break
  case 'autoscaler':
    await runService(autoscalerService, wrap)
    break
  case 'resource-profiler':
    await runService(resourceProfilerService, wrap)
    break
  default:
    throw new Error(`no such service: ${service} (${file})`)
}
