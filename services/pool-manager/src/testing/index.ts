export { runPoolWalk, type WalkResult } from './pool-walk.ts'
