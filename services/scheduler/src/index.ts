export { type SchedulerRuntime, schedulerDefinition } from './app/definition.ts'
export { SchedulerHandlers } from './app/handlers.ts'
export { SchedulerModule } from './scheduler.module.ts'
export { schedulerService } from './service.ts'
