export { faultToleranceDefinition } from './app/definition.ts'
export { FaultToleranceModule } from './fault-tolerance.module.ts'
export { FAULT_TOLERANCE_RUNTIME } from './tokens.ts'
