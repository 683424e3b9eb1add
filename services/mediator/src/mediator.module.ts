import { join } from 'node:path'
import { type DynamicModule, Module } from '@nestjs/common'
import { SERVICE_KIT, type ServiceKit } from '@serverless-ai/hosting'
import { openBlobStore } from './adapters/blob-store.ts'
import type { MediatorConfig } from './config.ts'
import { installMediator } from './install.ts'

const MEDIATOR = Symbol('MEDIATOR')

/** The mediator as a Nest module, with its workspaces in the data directory. */
@Module({})
export class MediatorModule {
  static with(config: MediatorConfig): DynamicModule {
    const useFactory = async (kit: ServiceKit) => {
      const directory = join(kit.options.dataDir, 'workspaces')
      const { maxTotalMib } = config.workspaces
      const { randomness } = kit.ports
      const { replica } = kit.options
      const store = await openBlobStore({ directory, maxTotalMib, randomness, replica })
      return installMediator(kit, { store, classes: config.classes })
    }
    return {
      module: MediatorModule,
      providers: [{ provide: MEDIATOR, inject: [SERVICE_KIT], useFactory }],
    }
  }
}
