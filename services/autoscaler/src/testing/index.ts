export { type CoreWalkResult, runCoreWalk } from './core-walk.ts'
export { runScalingWalk, type WalkOptions, type WalkResult } from './walk.ts'
