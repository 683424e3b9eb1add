import { requestHeaders } from '../core/headers.ts'
import type { ForwardInit } from './forward.ts'

/** Headers of a request as its replica gets them. */
export function outgoingHeaders(
  init: Pick<ForwardInit, 'exchange' | 'requestId' | 'principal' | 'form' | 'body'>,
): Record<string, string | string[]> {
  const { exchange, requestId, principal, form, body } = init
  return {
    ...requestHeaders(exchange.headers),
    ...(form === 'grpc' && { te: 'trailers' }),
    ...(Buffer.isBuffer(body) && { 'content-length': String(body.length) }),
    'x-request-id': requestId,
    'x-sai-tenant': principal.tenant,
    'x-forwarded-for': exchange.remote,
    'x-forwarded-host': exchange.authority,
    'x-forwarded-proto': 'http',
  }
}
