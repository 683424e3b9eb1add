export {
  type LocalNode,
  type LocalNodeConfig,
  type LocalNodeName,
  type LocalNodeStatus,
  localNodeDir,
  localNodeStatus,
  runningLocalNodes,
  startLocalNode,
  stopLocalNode,
} from './app/local/local-nodes.ts'
export { resolveWorkRoot, type WorkRoot } from './app/local/work-root.ts'
export { NodeConfigError } from './app/machine/config-file.ts'
export type { NodeRecord } from './app/machine/node-record.ts'
export type { NodeConfig } from './core/config.ts'
export type { EmulatedAccelerators } from './core/inventory.ts'
