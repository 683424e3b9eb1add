export { resourceProfilerDefinition } from './app/definition.ts'
export { ResourceProfilerModule } from './resource-profiler.module.ts'
export { resourceProfilerService } from './service.ts'
