export { type Breakage, type Broken, PromiseBroken } from './model/breakages.ts'
export {
  InterleavingFailure,
  type InterleavingOptions,
  type InterleavingSummary,
  runInterleavings,
} from './model/run.ts'
export { wideCommit } from './wide-commit.ts'
