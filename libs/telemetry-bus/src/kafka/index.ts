export { type KafkaBusOptions, openKafkaBus } from './open.ts'
