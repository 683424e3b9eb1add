export { readDescriptorSet } from './descriptors.ts'
