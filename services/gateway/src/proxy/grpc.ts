import type { ErrorForm } from './errors.ts'

/** A gRPC answer without messages has its status in the head: callers look for it at the end. */
export function splitTrailersOnly(headers: Record<string, string | string[]>) {
  if (headers['grpc-status'] === undefined) return { head: headers, trailers: undefined }
  const head: Record<string, string | string[]> = {}
  const trailers: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith('grpc-status') || name === 'grpc-message') trailers[name] = String(value)
    else head[name] = value
  }
  return { head, trailers }
}

/** UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const FAULTS: ReadonlySet<string> = new Set(['2', '4', '13', '14', '15'])

/** True when the status is the service's fault. */
export const isGrpcFailure = (form: ErrorForm, status: string | undefined): boolean =>
  form === 'grpc' && (status === undefined || FAULTS.has(status))
