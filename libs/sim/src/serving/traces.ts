import { type Request, type Requests, toRequests } from './requests.ts'

const DAY_MS = 86_400_000

/** Milliseconds of the day of `2023-11-16 18:17:03.9799600`. */
function timeOfDayMs(stamp: string): number {
  const match = /(\d+):(\d+):(\d+(?:\.\d+)?)/.exec(stamp)
  if (match === null) throw new Error(`no time in "${stamp}"`)
  return (Number(match[1]) * 3_600 + Number(match[2]) * 60 + Number(match[3])) * 1_000
}

function fromStart(rows: readonly Request[]): Requests {
  const [first] = rows
  if (first === undefined) throw new Error('a trace without requests')
  const shift = first.arrivalMs
  return toRequests(rows.map((row) => ({ ...row, arrivalMs: row.arrivalMs - shift })))
}

/**
 * Reads an `AzureLLMInferenceTrace_*.csv` of Azure/AzurePublicDataset (CC-BY-4.0): TIMESTAMP,
 * ContextTokens, GeneratedTokens. Times count from the first request; one midnight may pass.
 */
export function readAzureLlm(text: string): Requests {
  const rows = text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line): Request => {
      const [stamp = '', context, generated] = line.split(',')
      const inputTokens = Number(context)
      const outputTokens = Number(generated)
      if (!(inputTokens >= 0) || !(outputTokens >= 0)) throw new Error(`no request: "${line}"`)
      return { arrivalMs: timeOfDayMs(stamp), inputTokens, outputTokens }
    })
  const start = rows[0]?.arrivalMs ?? 0
  const unwrapped = rows.map((row) =>
    row.arrivalMs < start - DAY_MS / 2 ? { ...row, arrivalMs: row.arrivalMs + DAY_MS } : row,
  )
  return fromStart(unwrapped)
}

/** The fields of a line of a Mooncake trace that are read; prefix blocks are not. */
interface MooncakeLine {
  readonly timestamp: number
  readonly input_length: number
  readonly output_length: number
}

/** Reads a trace of kvcache-ai/Mooncake (Apache-2.0): one JSON per line, times in milliseconds. */
export function readMooncake(text: string): Requests {
  const rows = text
    .trim()
    .split(/\r?\n/)
    .map((line): Request => {
      const row: MooncakeLine = JSON.parse(line)
      if (!(row.input_length >= 0) || !(row.output_length >= 0)) {
        throw new Error(`no request: "${line.slice(0, 80)}"`)
      }
      const { timestamp: arrivalMs, input_length: inputTokens, output_length: outputTokens } = row
      return { arrivalMs, inputTokens, outputTokens }
    })
  return fromStart(rows)
}

/**
 * Reads `Azure2021_200.csv` (app, func, end_timestamp, duration; seconds) of vhive-serverless/
 * invitro: when each call began, in milliseconds from the first; ascending. `func` chooses one.
 */
export function readFunctionCalls(text: string, func?: string): readonly number[] {
  const begins = text
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.split(','))
    .filter((fields) => func === undefined || fields[1] === func)
    .map(([, , end, duration]) => (Number(end) - Number(duration)) * 1_000)
    .sort((a, b) => a - b)
  return begins.map((at) => at - begins[0]!)
}
