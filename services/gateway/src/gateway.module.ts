import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Injectable,
  Module,
  type OnApplicationBootstrap,
} from '@nestjs/common'
import { ListenError, SERVICE_KIT, type ServiceKit } from '@serverless-ai/hosting'
import { RpcError } from '@serverless-ai/kernel'
import { type EdgeConfig, edgeAddress } from './config.ts'
import { type InstalledGateway, installGateway } from './install.ts'

const GATEWAY = Symbol('GATEWAY')
const EDGE = Symbol('EDGE')

type Edge = EdgeConfig & { readonly host: string; readonly port: number }

/** The edge listens and closes with the application. */
@Injectable()
class GatewayLifecycle implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #gateway: InstalledGateway
  readonly #edge: Edge

  constructor(@Inject(GATEWAY) gateway: InstalledGateway, @Inject(EDGE) edge: Edge) {
    this.#gateway = gateway
    this.#edge = edge
  }

  async onApplicationBootstrap(): Promise<void> {
    const { host, port } = this.#edge
    try {
      await this.#gateway.start()
    } catch (error) {
      if (error instanceof RpcError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new ListenError(
        `cannot listen on ${host}:${port} (callers): ${reason}; choose one with --edge.port`,
      )
    }
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.#gateway.stop()
  }
}

/** The gateway as a Nest module. */
@Module({})
export class GatewayModule {
  static with(process: { host: string; port: number }, edge: EdgeConfig): DynamicModule {
    const at: Edge = { ...edge, ...edgeAddress(process, edge) }
    return {
      module: GatewayModule,
      providers: [
        { provide: EDGE, useValue: at },
        {
          provide: GATEWAY,
          inject: [SERVICE_KIT],
          useFactory: (kit: ServiceKit) => installGateway(kit, at),
        },
        GatewayLifecycle,
      ],
    }
  }
}
