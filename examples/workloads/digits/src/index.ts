// The contract with a platform: exit codes and the lines of SAI_REPORT and DIGITS_JOURNAL.
export { EXIT } from './errors.ts'
export type {
  CheckpointLine,
  JournalLine,
  ProgressLine,
  ReportLine,
  ResultLine,
} from './report.ts'
