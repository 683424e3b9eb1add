export { type KafkaEventsOptions, kafkaEvents } from './kafka-events.ts'
