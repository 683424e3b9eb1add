import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Requests, readAzureLlm, readMooncake } from '@serverless-ai/sim/serving'
import { ROOT } from '../../support/root.ts'

/** Traces of the study. */
export const TRACES = [
  'azure-code',
  'azure-conversation',
  'mooncake-conversation',
  'mooncake-synthetic',
] as const
export type TraceName = (typeof TRACES)[number]

const FILES: Readonly<Record<TraceName, string>> = {
  'azure-code': 'azure-llm-2023/code_until_18h51.csv.gz',
  'azure-conversation': 'azure-llm-2023/conv_until_18h51.csv.gz',
  'mooncake-conversation': 'mooncake/conversation_trace.jsonl.gz',
  'mooncake-synthetic': 'mooncake/synthetic_trace.jsonl.gz',
}

/** Folder with the public traces, from `SAI_SHARED_DIR`; undefined: there is none. */
export function tracesFolder(): string | undefined {
  const shared = process.env['SAI_SHARED_DIR']
  const folder = shared === undefined ? undefined : join(shared, 'traces')
  return folder !== undefined && existsSync(folder) ? folder : undefined
}

/** A whole trace. */
export function loadTrace(name: TraceName): Requests {
  const folder = tracesFolder()
  if (folder === undefined) throw new Error('SAI_SHARED_DIR names no folder with traces/')
  const text = gunzipSync(readFileSync(join(folder, FILES[name]))).toString()
  return name.startsWith('azure') ? readAzureLlm(text) : readMooncake(text)
}

/** The sample of Azure code in the repository: ten minutes. */
export function loadSample(): Requests {
  const path = join(ROOT, 'tests/load/baselines/samples/azure-code.csv')
  return readAzureLlm(readFileSync(path, 'utf8'))
}
