export { type BootstrapReport, type ConsumeOptions, consumeEvents } from './consume.ts'
export { type DecodedEvent, decodeEvent, EVENT_NAMES } from './decode.ts'
export {
  eventsTopic,
  type Mark,
  NO_MARK,
  type PublicEvent,
  type RawRecord,
  readRecord,
  type SourceRecord,
} from './event.ts'
export { type FeedOptions, feedSnapshots, watchedEvents } from './grpc-events.ts'
export {
  type BootstrapCause,
  type EventSource,
  type EventTable,
  HistoryReplacedError,
  MissedEventsError,
  type SnapshotPage,
  type SnapshotSource,
  SourceError,
} from './ports.ts'
