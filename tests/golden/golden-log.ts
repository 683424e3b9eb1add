import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { LogRecord, SnapshotInfo } from '@serverless-ai/eventlog'
import type { FoldSource } from '@serverless-ai/runtime/replay'
import { SERVICES, type Service } from '../support/fold.ts'

/** A state that was known while the log was written. */
export interface GoldenState {
  /** Position of the last effective record it was made of. */
  readonly position: number
  /** Digest that the platform itself served there. */
  readonly digest: string
}

/** What was recorded of one service. */
export interface GoldenService {
  /** Version of its state and events at the time. */
  readonly schemaVersion: number
  /** Records, from position 0 on. */
  readonly records: number
  /** Domain events in them. */
  readonly events: number
  readonly publicSeq: number
  readonly states: readonly GoldenState[]
  /** A snapshot that the platform wrote in the middle of the log. */
  readonly snapshot: SnapshotInfo
}

/** What was recorded, `manifest.json`. */
export interface GoldenManifest {
  /** Version of the product that wrote the logs. */
  readonly product: string
  /** Those that this version had. */
  readonly services: Readonly<Record<Service, GoldenService>>
}

const LENGTH_BYTES = 4

/** Records as a file: each with its length before it, all of it compressed. */
export function packRecords(records: readonly LogRecord[]): Uint8Array {
  const pieces = records.flatMap(({ value }) => {
    const length = Buffer.alloc(LENGTH_BYTES)
    length.writeUInt32BE(value.byteLength)
    return [length, value]
  })
  return gzipSync(Buffer.concat(pieces), { level: 9 })
}

function unpackRecords(file: Uint8Array): LogRecord[] {
  const bytes = gunzipSync(file)
  const records: LogRecord[] = []
  for (let at = 0; at < bytes.length; ) {
    const start = at + LENGTH_BYTES
    const end = start + bytes.readUInt32BE(at)
    const value = new Uint8Array(bytes.subarray(start, end))
    records.push({ key: '', headers: {}, value, position: records.length })
    at = end
  }
  return records
}

export const logFile = (service: Service): string => `${service}.log.gz`
export const snapshotFile = (service: Service): string => `${service}.snapshot.gz`

/** The manifest of a recording. */
export function readManifest(directory: string): GoldenManifest {
  return JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8'))
}

/** Services that the recorded version had. */
export const recordedServices = (directory: string): readonly Service[] => {
  const { services } = readManifest(directory)
  return SERVICES.filter((service) => Object.hasOwn(services, service))
}

/** The recorded log of a service, to be folded. */
export function goldenSource(
  directory: string,
  service: Service,
): Required<Pick<FoldSource, 'eventLog' | 'snapshots'>> & { readonly records: LogRecord[] } {
  const records = unpackRecords(readFileSync(join(directory, logFile(service))))
  const { snapshot } = readManifest(directory).services[service]
  const range = { start: 0, end: records.length }
  return {
    records,
    eventLog: {
      range: async () => range,
      fetch: async (_address, { from }) => ({ records: records.slice(from), ...range }),
    },
    snapshots: {
      list: async () => [snapshot],
      get: async () => gunzipSync(readFileSync(join(directory, snapshotFile(service)))),
    },
  }
}
