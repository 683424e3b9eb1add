export {
  type LocalNodeConfig,
  localNodeStatus,
  runningLocalNodes,
  startLocalNode,
  stopLocalNode,
} from './app/local/local-nodes.ts'
