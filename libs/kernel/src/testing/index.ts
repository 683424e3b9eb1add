export { type SeededRandomness, seededRandomness } from './random.ts'
export { VirtualTime } from './virtual-time.ts'
