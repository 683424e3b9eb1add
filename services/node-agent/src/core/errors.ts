import { RpcError } from '@serverless-ai/kernel'

/** The error code of a failed system call, `UNKNOWN` when it is something else. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return 'UNKNOWN'
  return typeof error.code === 'string' ? error.code : 'UNKNOWN'
}

/** What an error says, in one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.replaceAll(/\s*\n\s*/g, ' ')
}

/** What a failed call says, with its code where it has one. */
export function problemOf(error: unknown): string {
  const code = error instanceof RpcError ? `${error.code} ${error.reason}: ` : ''
  return `${code}${messageOf(error)}`
}
