import { Controller, Get, Inject, ServiceUnavailableException } from '@nestjs/common'
import type { Readiness } from './readiness.ts'
import type { ServiceKit } from './service-kit.ts'
import { SERVICE_KIT } from './tokens.ts'

/** `/livez`: the process answers. `/readyz`: it leads what it serves and reaches its peers. */
@Controller()
export class HealthController {
  readonly #readiness: Readiness

  constructor(@Inject(SERVICE_KIT) kit: ServiceKit) {
    this.#readiness = kit.readiness
  }

  @Get('livez')
  live(): { alive: true } {
    return { alive: true }
  }

  @Get('readyz')
  async ready(): Promise<{ ready: true }> {
    const missing = await this.#readiness.missing()
    if (missing.length > 0) throw new ServiceUnavailableException({ ready: false, missing })
    return { ready: true }
  }
}
