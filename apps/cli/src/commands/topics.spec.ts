import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Bench } from '../testing/bench.ts'

let bench: Bench
beforeEach(async () => {
  bench = new Bench()
  await bench.open()
})
afterEach(() => rm(bench.directory, { recursive: true, force: true }))

const sai = (...words: string[]) => bench.sai('admin', 'topics', ...words)

/** A port of the loopback that nobody listens on: it was free a moment ago. */
function closedPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('no port'))
      else server.close(() => resolve(address.port))
    })
  })
}

it('wants a broker, and refuses what cannot be', async () => {
  expect(await sai('check')).toBe(2)
  expect(bench.err).toContain('--kafka HOST:PORT')
  expect(await sai('plan', '--kafka', 'nowhere')).toBe(2)
  expect(bench.err).toContain('must be HOST:PORT')
  expect(await sai('plan', '--json', '--kafka', 'nowhere')).toBe(2)
  expect(JSON.parse(bench.err).error.reason).toBe('CONFIG_INVALID_VALUE')
  expect(await sai('plan', '--kafka', 'a:1', '--kafka.replication-factor', '0')).toBe(2)
  expect(await sai('plan', '--kafka', 'a:1', '--cells', '0')).toBe(2)
  expect(await sai('plan', '--kafka', 'a:1', '--kafka.sasl.password', 'x')).toBe(2)
})

it('tells that nobody answers, with its code', async () => {
  const broker = `127.0.0.1:${await closedPort()}`
  expect(await sai('check', '--kafka', broker)).toBe(5)
  expect(bench.err).toContain(`no Kafka broker answers at ${broker}`)
  expect(bench.err).toContain(' [KAFKA_UNREACHABLE]\n')
  expect(await sai('check', '--json', '--kafka', broker)).toBe(5)
  expect(JSON.parse(bench.err).error.reason).toBe('KAFKA_UNREACHABLE')
})

it('reads the password from a file, and names a file that is not there', async () => {
  const gone = join(bench.directory, 'gone')
  const user = ['--kafka.sasl.username', 'u', '--kafka.sasl.password-file']
  expect(await sai('plan', '--kafka', 'a:1', ...user, gone)).toBe(2)
  expect(bench.err).toContain(gone)
  await writeFile(gone, 'secret\n')
  const broker = `127.0.0.1:${await closedPort()}`
  expect(await sai('plan', '--kafka', broker, ...user, gone)).toBe(5)
  expect(bench.err).not.toContain('secret')
})
