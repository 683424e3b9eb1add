export { DEFAULT_IMAGE, ServerlessAiContainer } from './container.ts'
export { EngineMissingError, engineProblem, ImageMissingError } from './engine.ts'
export {
  ServerlessAiEnvironment,
  StartedServerlessAiEnvironment,
} from './environment.ts'
export { WaitTimeoutError } from './handle.ts'
export { DEFAULT_KAFKA_IMAGE, KafkaBrokerContainer, StartedKafkaBroker } from './kafka.ts'
export type {
  EventArea,
  EventFilter,
  Identity,
  JobState,
  NodeShape,
  PlatformBuilder,
  TestEvent,
  TestPlatform,
  TestService,
  TestTenant,
  WaitOptions,
} from './platform.ts'
export { StartedServerlessAiContainer } from './started-container.ts'
