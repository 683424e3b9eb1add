export { MEDIATOR_ERRORS } from './adapters/errors.ts'
export { type MediatorConfig, mediatorConfig, workspacesConfig } from './config.ts'
export { MediatorModule } from './mediator.module.ts'
export { MEDIATOR_RUNTIME } from './tokens.ts'
