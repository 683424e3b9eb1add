export { eventLogContract, type LogHarness } from './contract.ts'
export { wideCommit } from './wide-commit.ts'
