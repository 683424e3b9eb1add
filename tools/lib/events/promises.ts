/** How long public events are kept by default, ms: 14 days. */
export const EVENTS_RETENTION_MS = 14 * 24 * 60 * 60 * 1000
/** Largest record of a topic, bytes. */
export const MESSAGE_MAX_BYTES = 9 * 1024 * 1024

/** What a consumer may rely on, as Markdown. */
export const ABOUT = `\
What the services of the platform tell everybody. Each service owns one topic, \
\`serverlessai.events.<service>.v1\`.

- **Partition = cell.** Partition n of each topic holds cell n. Keys do not choose the \
partition.
- **At least once, in order.** A record may come again, also much later (a leader that was \
deposed, a request whose acknowledgement was lost). First comes are in the order of \`seq\`, \
over all keys of a partition.
- **\`seq\` is dense.** \`ce_id\` is \`<service>/<cell>/<seq>\`, seq counts 1, 2, 3, … in \
each cell and is never used for another event. A seq at or below the last one taken is a \
copy: drop it. A higher one than the next shows that events are missing.
- **The mark is (seq, offset)**, stored in the transaction that applies the events. A gap, \
or an offset below the beginning or beyond the end of the topic (also of an empty one), is \
mended by the present state: \`EventFeedService.GetFeedSnapshot\` (roles service and admin) \
gives it in pages pinned at one seq and offset, and the events go on after them. \
\`WatchFeed\` has the same events without Kafka; \`FEED_GAP\` is its word for what is not \
kept.
- **Kept for 14 days** by default (\`retention.ms\`), never compacted, never in \
transactions: offsets are dense too.
- **Envelope**: CloudEvents 1.0 in the binary form of its Kafka binding. The value is the \
protobuf message that \`ce_type\` names, without a schema registry's framing.
- **Only additions within v1.** Leave out types and fields that you do not know; let them \
move the mark.
- The private logs, \`serverlessai.log.*\`, are no contract.`
