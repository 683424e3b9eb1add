export { openInProcessBus } from './in-process.ts'
export * from './port.ts'
export { TelemetrySender, type TelemetrySenderOptions } from './sender.ts'
export { SourceMarks } from './source-marks.ts'
