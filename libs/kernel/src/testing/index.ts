export { type DiskFault, type DiskOperation, type MemoryDisk, memoryDisk } from './memory-disk.ts'
export { type LoggedLine, RecordingLogger, type TestPorts, testPorts } from './ports.ts'
export { type SeededRandomness, seededRandomness } from './random.ts'
export { VirtualTime } from './virtual-time.ts'
