import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  type INestApplicationContext,
  Inject,
  Injectable,
  Module,
} from '@nestjs/common'
import { ControlPlaneProcess } from './control-plane-process.ts'
import { HealthController } from './health.controller.ts'
import type { PlatformOptions } from './options.ts'
import { MetricsController } from './telemetry/metrics.controller.ts'
import { CONTROL_PLANE, SERVICE_KIT } from './tokens.ts'

/** The process stops with the application. */
@Injectable()
class PlatformLifecycle implements BeforeApplicationShutdown {
  readonly #process: ControlPlaneProcess

  constructor(@Inject(CONTROL_PLANE) process: ControlPlaneProcess) {
    this.#process = process
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.#process.stop()
  }
}

/**
 * A {@link ControlPlaneProcess} as a Nest module: services find its kit under `SERVICE_KIT`.
 * Global: import it once, in the root module.
 */
@Module({})
export class PlatformModule {
  static with(options: PlatformOptions): DynamicModule {
    return {
      module: PlatformModule,
      global: true,
      controllers: [HealthController, MetricsController],
      providers: [
        { provide: CONTROL_PLANE, useFactory: () => new ControlPlaneProcess(options) },
        {
          provide: SERVICE_KIT,
          inject: [CONTROL_PLANE],
          useFactory: (process: ControlPlaneProcess) => process.kit,
        },
        PlatformLifecycle,
      ],
      exports: [SERVICE_KIT],
    }
  }
}

/** Starts the services of an application. While they read their logs `/livez` answers already. */
export const startServices = (app: INestApplicationContext): Promise<void> =>
  app.get<ControlPlaneProcess>(CONTROL_PLANE).start()
