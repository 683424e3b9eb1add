// What the client makes of answers that a healthy store does not give, over real sockets.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { systemClock, systemRandomness, systemTimers } from '@serverless-ai/kernel/system'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSnapshotBucket, type SnapshotBucketOptions } from './index.ts'

const KEY_ID = 'AKIAEXAMPLEKEYID'
const SECRET = 'example/secret/that/nobody/may/see'
const address = { topic: 'serverlessai.log.test.v1', partition: 0 }
const NAME = '4-0123456789abcdef'

type Answer = (response: ServerResponse, request: IncomingMessage) => void

let server: Server
let answers: Answer[] = []
let requests: IncomingMessage[] = []
let directory = ''
let options: SnapshotBucketOptions

const xml =
  (status: number, body: string): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/xml' }).end(body)
  }
const refusal = (status: number, code: string): Answer =>
  xml(
    status,
    `<Error><Code>${code}</Code><Message>no</Message><AWSAccessKeyId>${KEY_ID}</AWSAccessKeyId>` +
      `<StringToSign>${KEY_ID} ${SECRET}</StringToSign></Error>`,
  )
const empty = xml(200, '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>')

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sai-s3-'))
  const credentialsFile = join(directory, 'credentials')
  const keys = `aws_access_key_id = ${KEY_ID}\naws_secret_access_key = ${SECRET}\n`
  writeFileSync(credentialsFile, `[default]\n${keys}`)
  answers = []
  requests = []
  server = createServer((request, response) => {
    requests.push(request)
    request.resume()
    // The last answer stays.
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    request.on('end', () => answer?.(response, request))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  options = {
    bucket: 'snapshots',
    region: 'eu-central-1',
    endpoint: `http://127.0.0.1:${port}`,
    pathStyle: true,
    prefix: 'sai/',
    credentialsFile,
    ports: { clock: systemClock, timers: systemTimers, randomness: systemRandomness },
    requestTimeoutMs: 2000,
    totalTimeoutMs: 4000,
  }
})

afterEach(() => {
  server.closeAllConnections()
  server.close()
  rmSync(directory, { recursive: true, force: true })
})

const opened = (patience: Partial<SnapshotBucketOptions> = {}) => {
  answers = [empty]
  return openSnapshotBucket({ ...options, ...patience })
}

describe('the S3 client', () => {
  it('signs with the key of the file, for the region and in path style', async () => {
    await opened()
    expect(requests[0]?.url).toMatch(/^\/snapshots\/?\?list-type=2&prefix=sai%2F$/)
    const { authorization } = requests[0]?.headers ?? {}
    expect(authorization).toContain(`Credential=${KEY_ID}/`)
    expect(authorization).toContain('/eu-central-1/s3/aws4_request')
  })

  it('signs what it stores, so that the store refuses a changed or cut body', async () => {
    const store = await opened()
    answers = [xml(200, '')]
    await store.put(address, { position: 1, schemaVersion: 1, content: new Uint8Array(3) })
    const put = requests.find(({ method }) => method === 'PUT')
    expect(put?.headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/)
    expect(put?.headers['content-length']).toBe('3')
  })

  it.each([
    ['AccessDenied', 403, 'NOT_AUTHORIZED'],
    ['SignatureDoesNotMatch', 403, 'NOT_AUTHORIZED'],
    ['NoSuchBucket', 404, 'BUCKET_MISSING'],
    ['AuthorizationHeaderMalformed', 400, 'REFUSED'],
  ])('knows the refusal %s and gives away no key', async (code, status, told) => {
    answers = [refusal(status, code)]
    const error: unknown = await openSnapshotBucket(options).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'SnapshotBucketError', code: told })
    expect(String(error)).toContain(`bucket snapshots at ${options.endpoint}`)
    expect(String(error)).toContain(code)
    const everything = inspect(error, { depth: 10, showHidden: true })
    expect(everything).not.toContain(KEY_ID)
    expect(everything).not.toContain(SECRET)
    expect(requests).toHaveLength(1)
  })

  it('understands a refusal that is no XML', async () => {
    answers = [(response) => response.writeHead(403).end('<html>proxy says no</html>')]
    await expect(openSnapshotBucket(options)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' })
  })

  it('tries again while the store is busy', async () => {
    answers = [refusal(503, 'SlowDown'), refusal(500, 'InternalError'), empty]
    await openSnapshotBucket(options)
    expect(requests).toHaveLength(3)
  })

  it('tries again when an answer is cut off in its middle', async () => {
    const store = await opened()
    answers = [
      (response) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('x'.repeat(50), () => response.destroy())
      },
      refusal(404, 'NoSuchKey'),
    ]
    expect(await store.get(address, NAME)).toBeUndefined()
    expect(requests).toHaveLength(3)
  })

  it('gives up on an answer that never comes, or never ends', async () => {
    const store = await opened({ requestTimeoutMs: 300, totalTimeoutMs: 600 })
    for (const silent of [
      () => undefined,
      (response: ServerResponse) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('x')
      },
    ]) {
      answers = [silent]
      await expect(store.get(address, NAME)).rejects.toMatchObject({ code: 'TIMED_OUT' })
    }
  })

  it('says that nobody is there', async () => {
    server.close()
    const lost = { ...options, totalTimeoutMs: 500 }
    const opening = openSnapshotBucket(lost)
    await expect(opening).rejects.toMatchObject({ code: 'UNREACHABLE' })
    await expect(opening).rejects.toThrow(/ECONNREFUSED.*check the endpoint/)
  })

  it('says that there are no credentials', async () => {
    const gone = { ...options, credentialsFile: join(directory, 'gone') }
    await expect(openSnapshotBucket(gone)).rejects.toMatchObject({ code: 'NO_CREDENTIALS' })
    const other = { ...options, profile: 'other' }
    await expect(openSnapshotBucket(other)).rejects.toMatchObject({ code: 'NO_CREDENTIALS' })
  })
})
