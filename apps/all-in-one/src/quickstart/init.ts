import type { Credentials } from '@serverless-ai/hosting'
import type { Ports } from '@serverless-ai/kernel'
import type { AllInOneConfig } from '../config.ts'
import type { PlatformOutput } from '../output.ts'

/** What it runs on. */
export interface QuickstartInit {
  /** gRPC `host:port` of the platform, or several of them with commas between. */
  readonly address: string
  readonly ports: Ports
  readonly dataDir: string
  readonly credentials: Credentials
  readonly config: AllInOneConfig
  readonly output: PlatformOutput
}
