export { memoryCell } from './memory-cell.ts'
