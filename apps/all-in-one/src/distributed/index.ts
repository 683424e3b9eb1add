export { startDistributed } from './platform.ts'
