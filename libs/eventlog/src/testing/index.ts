export { eventLogContract } from './contract.ts'
export type { LogHarness } from './contract-bench.ts'
export { wideCommit } from './wide-commit.ts'
