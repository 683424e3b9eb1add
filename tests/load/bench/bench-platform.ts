/**
 * The control plane alone, for benchmarks that bring their own agents: `node bench-platform.js
 * --data DIR --port P --nodes n1,n2`.
 */
import { parseArgs } from 'node:util'
import { createControlPlane } from '@serverless-ai/all-in-one'
import {
  listenHttp,
  openPlatform,
  platformConfig,
  startServices,
  systemPorts,
} from '@serverless-ai/hosting'

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '' },
    port: { type: 'string', default: '0' },
    nodes: { type: 'string', default: '' },
  },
})
const config = platformConfig.parse({ data: values.data, port: Number(values.port) })
const { options } = await openPlatform({
  config,
  ports: systemPorts('bench', config.logLevel),
  tenants: ['team-a'],
  nodes: values.nodes.split(','),
  peers: {},
  required: [],
})
const app = await createControlPlane(options, {
  leaseMs: 15_000,
  workspacesMaxMib: 1_024,
  scaling: { stepMs: 1_000, giveBackAfterMs: 30_000 },
})
await listenHttp(app, config)
await startServices(app)
process.stdout.write('ready\n')
process.on('SIGTERM', () => {
  void app.close().then(() => process.exit(0))
})
