// The only file that knows the AWS SDK.
import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { fromIni } from '@aws-sdk/credential-provider-ini'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { ObjectFailure, type Objects } from './objects.ts'

/** Where the objects are and who may have them. */
export interface S3Target {
  readonly bucket: string
  /** Region of the bucket; stores other than AWS mostly take any. */
  readonly region: string
  /** `https://host[:port]` of an S3-compatible store. Default: AWS in the region. */
  readonly endpoint?: string
  /** The bucket stands in the path instead of in the host name; most other stores need it. */
  readonly pathStyle: boolean
  /** Certificates of authorities to believe, PEM. Default: those of the system. */
  readonly ca?: string
  /** File with credentials in the format of AWS. Default: variables, files and roles of AWS. */
  readonly credentialsFile?: string
  /** Section of the credentials file. Default: `AWS_PROFILE`, else `default`. */
  readonly profile?: string
  /** A connection must be there within this, ms. */
  readonly connectTimeoutMs: number
}

const SOCKETS_MAX = 16

function clientOf(target: S3Target): S3Client {
  const { region, endpoint, pathStyle, ca, credentialsFile, profile, connectTimeoutMs } = target
  const agent = { keepAlive: true, maxSockets: SOCKETS_MAX }
  return new S3Client({
    region,
    forcePathStyle: pathStyle,
    // One attempt: the caller repeats, with the reading of the content as part of it.
    maxAttempts: 1,
    // The body's SHA-256 is part of the signature; other checksums are unknown to some stores.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectTimeoutMs,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent({ ...agent, ...(ca === undefined ? {} : { ca }) }),
    }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(profile === undefined ? {} : { profile }),
    ...(credentialsFile === undefined
      ? {}
      : {
          credentials: fromIni({
            filepath: credentialsFile,
            ...(profile === undefined ? {} : { profile }),
          }),
        }),
  })
}

/** The failure without the SDK's own error: its fields hold key ids and signed texts. */
function failureOf(error: unknown): ObjectFailure {
  if (error instanceof S3ServiceException) {
    const { name, message, $metadata } = error
    return new ObjectFailure({ code: name, status: $metadata.httpStatusCode ?? 0, message })
  }
  if (!(error instanceof Error)) {
    return new ObjectFailure({ code: 'UNKNOWN', status: 0, message: String(error) })
  }
  const { name, message } = error
  if (name === 'CredentialsProviderError') {
    return new ObjectFailure({ code: 'NO_CREDENTIALS', status: 0, message })
  }
  // Answers that are no S3 keep their status, for example those of a proxy.
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } }
  const status = $metadata?.httpStatusCode ?? 0
  const code = 'code' in error && typeof error.code === 'string' ? error.code : name
  return new ObjectFailure({ code, status, message })
}

class S3Objects implements Objects {
  readonly where: string
  readonly #bucket: string
  readonly #client: S3Client

  constructor(target: S3Target) {
    const { bucket, region, endpoint } = target
    this.where = `bucket ${bucket} at ${endpoint ?? `AWS ${region}`}`
    this.#bucket = bucket
    this.#client = clientOf(target)
  }

  async put(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const command = new PutObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      Body: bytes,
      ContentLength: bytes.byteLength,
      ContentType: 'application/octet-stream',
    })
    await this.#run(() => this.#client.send(command, { abortSignal: signal }))
  }

  async get(key: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#bucket, Key: key })
    try {
      return await this.#run(async () => {
        const { Body, ContentLength } = await this.#client.send(command, { abortSignal: signal })
        const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array(0)
        if (ContentLength !== undefined && ContentLength !== bytes.byteLength) {
          const message = `the answer ended after ${bytes.byteLength} of ${ContentLength} bytes`
          throw new ObjectFailure({ code: 'CUT_OFF', status: 0, message })
        }
        return bytes
      })
    } catch (error) {
      if (error instanceof ObjectFailure && error.code === NoSuchKey.name) return undefined
      throw error
    }
  }

  async list(
    prefix: string,
    more: string | undefined,
    signal: AbortSignal,
  ): ReturnType<Objects['list']> {
    const command = new ListObjectsV2Command({
      Bucket: this.#bucket,
      Prefix: prefix,
      ContinuationToken: more,
    })
    const page = await this.#run(() => this.#client.send(command, { abortSignal: signal }))
    const objects = (page.Contents ?? []).flatMap(({ Key, Size }) =>
      Key === undefined ? [] : [{ key: Key, bytes: Size ?? 0 }],
    )
    const { IsTruncated, NextContinuationToken } = page
    const goesOn = IsTruncated === true && NextContinuationToken !== undefined
    return { objects, ...(goesOn ? { more: NextContinuationToken } : {}) }
  }

  async remove(key: string, signal: AbortSignal): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key: key })
    await this.#run(() => this.#client.send(command, { abortSignal: signal }))
  }

  async #run<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request()
    } catch (error) {
      throw error instanceof ObjectFailure ? error : failureOf(error)
    }
  }
}

/** Objects of a bucket. Nothing is asked for yet. */
export function openS3Objects(target: S3Target): Objects {
  return new S3Objects(target)
}
