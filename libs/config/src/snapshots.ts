import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ConfigError } from './error.ts'
import type { DeepReadonly } from './load.ts'

const file = () => z.string().min(1).optional()

const s3 = z
  .object({
    bucket: z
      .string()
      .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket')
      .optional()
      .meta({ description: 'Bucket of the snapshots; it is never made by itself' }),
    region: z.string().min(1).default('us-east-1').meta({ description: 'Region of the bucket' }),
    endpoint: z
      .url({ protocol: /^https?$/, hostname: /./ })
      .refine((url) => {
        const { username, password } = new URL(url)
        return username === '' && password === ''
      }, 'must not hold credentials: put them into a file')
      .optional()
      .meta({ description: 'URL of an S3-compatible store; default: AWS in the region' }),
    prefix: z
      .string()
      .regex(
        /^([A-Za-z0-9._-]+\/)*$/,
        'must be empty or end with /, of letters, digits, dots, _ or -, for example cells/a/',
      )
      .refine((prefix) => prefix.length <= 200, 'must have at most 200 characters')
      .default('')
      .meta({ description: 'Stands before every key, so that platforms can share a bucket' }),
    pathStyle: z.boolean().default(false).meta({
      description: 'The bucket stands in the path, not in the host name; most other stores need it',
    }),
    ca: file().meta({
      description: 'PEM file of the authorities to believe; default: those of the system',
    }),
    credentialsFile: file().meta({
      description: 'Credentials in the format of AWS; default: variables, files and roles of AWS',
    }),
    profile: z.string().min(1).optional().meta({ description: 'Section of the credentials file' }),
    requestTimeoutMs: z.number().int().min(1000).max(300_000).default(10_000).meta({
      description: 'One attempt of one object may take this long, ms',
    }),
    totalTimeoutMs: z.number().int().min(1000).max(600_000).default(30_000).meta({
      description: 'All attempts of one object may take this long, ms',
    }),
  })
  .prefault({})

/** Keys of where snapshots are kept, for a schema's `snapshots` (`--snapshots.kind s3`). */
export const snapshotsConfig = z
  .object({
    kind: z
      .enum(['directory', 's3', 'none'])
      .default('directory')
      .meta({
        description:
          'directory: below the data directory; s3: in a bucket, for several machines; none: ' +
          'each start folds the whole log, and no log is ever cut (for tests)',
      }),
    s3,
  })
  .superRefine(({ kind, s3: { bucket } }, context) => {
    if (kind !== 's3' || bucket !== undefined) return
    const message = 'is missing: snapshots in S3 need a bucket'
    context.addIssue({ code: 'custom', path: ['s3', 'bucket'], message })
  })
export type SnapshotsConfig = DeepReadonly<z.output<typeof snapshotsConfig>>

/** How to reach the bucket, files read: what `openSnapshotBucket` takes besides ports. */
export interface SnapshotBucketSettings {
  readonly bucket: string
  readonly region: string
  readonly endpoint?: string
  readonly prefix: string
  readonly pathStyle: boolean
  readonly ca?: string
  readonly credentialsFile?: string
  readonly profile?: string
  readonly requestTimeoutMs: number
  readonly totalTimeoutMs: number
}

/**
 * The settings behind a configuration; undefined = no bucket. Reads the file of authorities.
 * Throws {@link ConfigError} that names it when it cannot be read.
 */
export function snapshotBucketSettings(
  config: SnapshotsConfig,
): SnapshotBucketSettings | undefined {
  const { bucket, endpoint, ca, credentialsFile, profile, ...rest } = config.s3
  if (config.kind !== 's3' || bucket === undefined) return undefined
  return {
    ...rest,
    bucket,
    ...(endpoint !== undefined && { endpoint }),
    ...(ca !== undefined && { ca: readPem(ca) }),
    ...(credentialsFile !== undefined && { credentialsFile }),
    ...(profile !== undefined && { profile }),
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error)
    const where = `snapshots.s3.ca: ${path}`
    const mend = 'Check the path and its permissions'
    throw new ConfigError([{ code: 'CONFIG_FILE_UNREADABLE', where, what, mend }])
  }
}
