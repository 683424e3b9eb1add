export { type PoolRuntime, poolManagerDefinition } from './app/definition.ts'
export { type PoolManagerConfig, poolManagerConfig } from './config.ts'
export { PoolManagerModule } from './pool-manager.module.ts'
export { poolManagerService } from './service.ts'
