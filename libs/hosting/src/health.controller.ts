import { Controller, Get, Inject, ServiceUnavailableException } from '@nestjs/common'
import { Readiness } from './readiness.ts'

/** `/livez`: the process answers. `/readyz`: it leads what it serves and reaches its peers. */
@Controller()
export class HealthController {
  readonly #readiness: Readiness

  constructor(@Inject(Readiness) readiness: Readiness) {
    this.#readiness = readiness
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
