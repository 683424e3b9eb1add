export { slaMonitorDefinition } from './app/definition.ts'
export { slaMonitorService } from './service.ts'
export { SlaMonitorModule } from './sla-monitor.module.ts'
