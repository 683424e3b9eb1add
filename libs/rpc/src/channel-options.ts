import type { ChannelOptions } from '@grpc/grpc-js'
import { TLS_SERVER_NAME } from './tls.ts'

/** Messages above it are refused with RESOURCE_EXHAUSTED: a commit (4 MiB) and its envelope fit. */
export const MESSAGE_MAX_BYTES = 8 << 20

const KEEPALIVE_MS = 30_000
const KEEPALIVE_TIMEOUT_MS = 15_000

/** Explicit, so that a change of the library's defaults changes nothing here. */
export const CLIENT_OPTIONS: ChannelOptions = {
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
  'grpc.max_send_message_length': MESSAGE_MAX_BYTES,
  // A restarted peer is found again within 2 s; the library's own default is two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  // Retries belong to callers, who know what is idempotent.
  'grpc.enable_retries': 0,
  'grpc.use_local_subchannel_pool': 1,
  // Peers are named by address; a proxy of the environment must not see loopback calls.
  'grpc.enable_http_proxy': 0,
}

/** Options of clients with TLS. */
export const SECURE_CLIENT_OPTIONS: ChannelOptions = {
  ...CLIENT_OPTIONS,
  'grpc.ssl_target_name_override': TLS_SERVER_NAME,
}

/** Options of servers. */
export const SERVER_OPTIONS: ChannelOptions = {
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
  'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
  'grpc.max_send_message_length': MESSAGE_MAX_BYTES,
  'grpc.max_concurrent_streams': 10_000,
}
