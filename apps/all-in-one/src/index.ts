export { type AllInOneConfig, allInOneConfig, nodeIdsOf } from './config.ts'
export { createControlPlane } from './control-plane.ts'
export {
  openAllInOne,
  type PlatformOutput,
  type RunningPlatform,
  startPlatform,
} from './platform.ts'
