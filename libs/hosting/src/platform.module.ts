import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common'
import { ControlPlaneProcess } from './control-plane-process.ts'
import { HealthController } from './health.controller.ts'
import type { PlatformOptions } from './options.ts'
import { MetricsController } from './telemetry/metrics.controller.ts'
import { CONTROL_PLANE, SERVICE_KIT } from './tokens.ts'

/** The process starts and stops with the application. */
@Injectable()
class PlatformLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #process: ControlPlaneProcess

  constructor(@Inject(CONTROL_PLANE) process: ControlPlaneProcess) {
    this.#process = process
  }

  onApplicationBootstrap(): Promise<void> {
    return this.#process.start()
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
