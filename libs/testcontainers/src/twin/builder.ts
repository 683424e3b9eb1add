import type {
  Identity,
  NodeShape,
  PlatformBuilder,
  TestPlatform,
  TestService,
} from '../platform.ts'
import { addToken, defaultSettings, leftOut, type Settings } from '../settings.ts'

/** What is collected for a twin, whatever its time is. */
export interface TwinSettings extends Settings {
  seed: number
}

/** What twins on real and on virtual time have in common. */
export abstract class TwinBuilder<Started extends TestPlatform>
  implements PlatformBuilder<Started>
{
  protected readonly settings: TwinSettings

  /** @internal */
  constructor(settings?: TwinSettings) {
    this.settings = { ...(settings ?? { ...defaultSettings(), seed: 1 }) }
  }

  abstract start(): Promise<Started>

  abstract withClock(clock: 'real'): PlatformBuilder<TestPlatform>

  withNodes(count: number, shape: NodeShape = {}): this {
    this.settings.nodes = count
    this.settings.shape = shape
    return this
  }

  withConfig(config: Readonly<Record<string, unknown>>): this {
    this.settings.config = { ...this.settings.config, ...config }
    return this
  }

  withServices(services: readonly TestService[]): this {
    this.settings.without = leftOut(services)
    return this
  }

  withAuthToken(identity: Identity, token: string): this {
    this.settings.tokens = addToken(this.settings.tokens, { identity, token })
    return this
  }

  withReplayAlways(): this {
    this.settings.replayAlways = true
    return this
  }

  /** In `/dev/shm` where there is one, else where temporary files are. */
  withTmpfs(): this {
    this.settings.tmpfs = true
    return this
  }

  withRetriesDisabled(): this {
    this.settings.retries = false
    return this
  }

  /** Of all chance on virtual time: the same seed is the same run. Default 1. */
  withSeed(seed: number): this {
    this.settings.seed = seed
    return this
  }
}
