import type { ReadLogsResponse } from '@serverless-ai/contracts/pool/v1/pool'
import { RpcError } from '@serverless-ai/kernel'
import type { ExecutionView } from './job-view.ts'
import { LogReadError } from './log-streams.ts'

/** A piece of a task's log. */
export function pieceOf(view: ExecutionView, data: Uint8Array): ReadLogsResponse {
  const { generation, rank } = view.key
  return {
    generation,
    rank,
    nodeId: view.nodeId,
    data: Buffer.from(data),
    firstFailing: false,
    note: '',
  }
}

/** A note of the platform where the log of a task should be. */
export function noteOf(view: ExecutionView, note: string): ReadLogsResponse {
  return { ...pieceOf(view, new Uint8Array(0)), note }
}

/** What a reader is told of a log that cannot be read. */
export function messageOf(error: unknown): string {
  if (error instanceof LogReadError) return error.message
  return error instanceof RpcError ? error.message : 'the log could not be read'
}
