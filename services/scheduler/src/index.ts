export { schedulerDefinition } from './app/definition.ts'
export { SchedulerHandlers, type SchedulerRuntime } from './app/handlers.ts'
export { SchedulerModule } from './scheduler.module.ts'
