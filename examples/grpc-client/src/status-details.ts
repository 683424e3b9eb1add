import { createRegistry, type DescMessage, fromBinary, toJson } from '@bufbuild/protobuf'
import { status as codes, type ServiceError } from '@grpc/grpc-js'
import type { ReflectionClient } from './reflection.ts'

/** Whether a thrown value is the status of a gRPC call. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number'
}

/** Canonical name of a status code, for example `NOT_FOUND`. */
export function codeName(error: ServiceError): string {
  return codes[error.code] ?? String(error.code)
}

async function describeMessages(
  reflection: ReflectionClient,
  names: readonly string[],
): Promise<DescMessage[]> {
  const found: DescMessage[] = []
  for (const name of names) {
    const message = (await reflection.describe(name)).getMessage(name)
    if (message !== undefined) found.push(message)
  }
  return found
}

/**
 * The details that a server attached to a failed call (`google.rpc.Status` in the trailer
 * `grpc-status-details-bin`) as indented JSON, read with types that the same server describes.
 * @returns undefined when there are none, or the server does not describe them
 */
export async function statusDetails(
  error: ServiceError,
  reflection: ReflectionClient,
): Promise<string | undefined> {
  const [bytes] = error.metadata.get('grpc-status-details-bin')
  if (!(bytes instanceof Buffer)) return undefined
  try {
    const names = ['Status', 'ErrorInfo', 'BadRequest', 'RetryInfo'].map((n) => `google.rpc.${n}`)
    const [status, ...details] = await describeMessages(reflection, names)
    if (status === undefined) return undefined
    const registry = createRegistry(...details)
    return JSON.stringify(toJson(status, fromBinary(status, bytes), { registry }), undefined, 2)
  } catch {
    // The call has failed already; what it means must not be hidden by a second failure.
    return undefined
  }
}
