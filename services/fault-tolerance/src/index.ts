export { faultToleranceDefinition } from './app/definition.ts'
export { FaultToleranceModule } from './fault-tolerance.module.ts'
export { faultToleranceService } from './service.ts'
