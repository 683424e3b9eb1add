export { NodeConfigError } from './app/config-file.ts'
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
} from './app/local-nodes.ts'
export type { NodeRecord } from './app/node-record.ts'
export { resolveWorkRoot, type WorkRoot } from './app/work-root.ts'
export type { NodeConfig } from './core/config.ts'
export type { EmulatedAccelerators } from './core/inventory.ts'
