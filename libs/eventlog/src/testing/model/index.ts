export { type Breakage, type Broken, PromiseBroken } from './breakages.ts'
export {
  InterleavingFailure,
  type InterleavingOptions,
  type InterleavingSummary,
  runInterleavings,
} from './run.ts'
