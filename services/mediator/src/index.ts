export { mediatorDefinition } from './app/definition.ts'
export { type MediatorConfig, mediatorConfig, workspacesConfig } from './config.ts'
export { MediatorModule } from './mediator.module.ts'
export { mediatorService } from './service.ts'
