import { createMemoryLogStore, openMemoryLog, openSnapshotDirectory } from '@serverless-ai/eventlog'
import { testPorts } from '@serverless-ai/kernel/testing'
import { followLeader, memoryNetwork } from '@serverless-ai/rpc'
import type { PlatformOptions } from '../options.ts'
import { ControlPlaneProcess } from '../process.ts'

/** Where a process listens, and what else differs from the others'. */
type MemoryProcess = Pick<PlatformOptions, 'listen'> & Partial<PlatformOptions>

/**
 * Virtual time and one log, one disk and one network in memory, for any number of processes of the
 * control plane. A token is the role of whom it is for (`admin`, `service`, a tenant).
 */
export function memoryCell({ seed }: { readonly seed: number }) {
  const ports = testPorts({ seed })
  const { time } = ports
  const network = memoryNetwork({ timers: time })
  const store = createMemoryLogStore()
  /** A process that is not started yet. */
  const process = (options: MemoryProcess): ControlPlaneProcess =>
    new ControlPlaneProcess({
      ports,
      eventLog: openMemoryLog({ ports, store }),
      snapshots: openSnapshotDirectory({ directory: '/snapshots', ports }),
      replica: 'r1',
      peers: {},
      serviceToken: 'service',
      authenticate: (token) => ({ subject: token, tenant: '', roles: [token] }),
      insecureDev: false,
      partition: 0,
      dataDir: '/data',
      version: '0',
      required: [],
      transport: network.transport(),
      server: (init) => network.server(init),
      ...options,
    })
  return {
    ports,
    time,
    store,
    process,
    /** Calls that go where they are sent. */
    plain: network.transport(),
    /** Calls that go on with the next replica, and where they are redirected to. */
    following: followLeader(network.transport(), ports),
  }
}
