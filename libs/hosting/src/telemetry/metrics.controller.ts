import { Controller, Get, Header, Inject, NotFoundException } from '@nestjs/common'
import { METRICS_CONTENT_TYPE, type Metrics } from '@serverless-ai/telemetry'
import type { ServiceKit } from '../service-kit.ts'
import { SERVICE_KIT } from '../tokens.ts'

/** `/metrics`: the metrics of this process in the text format of Prometheus. */
@Controller()
export class MetricsController {
  readonly #metrics: Metrics | undefined

  constructor(@Inject(SERVICE_KIT) kit: ServiceKit) {
    this.#metrics = kit.metrics
  }

  @Get('metrics')
  @Header('content-type', METRICS_CONTENT_TYPE)
  text(): Promise<string> {
    if (this.#metrics === undefined) throw new NotFoundException('no metrics are kept here')
    return this.#metrics.text()
  }
}
