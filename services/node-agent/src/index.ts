export { type DirectoryLock, lockDirectory } from './adapters/os/lock.ts'
export {
  type LocalNodeConfig,
  localNodeStatus,
  runningLocalNodes,
  startLocalNode,
  stopLocalNode,
} from './app/local/local-nodes.ts'
