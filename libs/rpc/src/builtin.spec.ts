import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { readDescriptorSet } from '@serverless-ai/contracts'
import {
  HealthService,
  HealthCheckResponse_ServingStatus as Serving,
} from '@serverless-ai/contracts/grpc/health/v1/health'
import {
  type ServerReflectionRequest,
  ServerReflectionService,
} from '@serverless-ai/contracts/grpc/reflection/v1/reflection'
import { RpcError } from '@serverless-ai/kernel'
import { systemClock, systemTimers } from '@serverless-ai/kernel/system'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createGrpcTransport } from './grpc-client.ts'
import { createGrpcServer } from './grpc-server.ts'
import { addHealth, HealthRegistry } from './health.ts'
import { addReflection } from './reflection.ts'
import { isLoopback } from './server-options.ts'

const quiet = { log: () => undefined, child: () => quiet }

async function setUp() {
  const server = createGrpcServer({
    clock: systemClock,
    timers: systemTimers,
    logger: quiet,
    authenticate: () => undefined,
  })
  const health = new HealthRegistry()
  addHealth(server, health)
  addReflection(server, readDescriptorSet)
  const address = await server.listen('127.0.0.1:0')
  const transport = createGrpcTransport({ clock: systemClock })
  return { server, health, address, transport }
}

let world: Awaited<ReturnType<typeof setUp>>
beforeEach(async () => {
  world = await setUp()
})
afterEach(async () => {
  await world.server.close(0)
  await world.transport.close()
})

describe('health', () => {
  const client = () => world.transport.client(HealthService, { address: world.address })

  it('answers for process, services and resolved keys, refuses unknown names', async () => {
    const { health } = world
    health.set('scheduler', true)
    health.set('mediator', false)
    health.resolve((name) => (name.startsWith('scheduler/0/') ? name.endsWith('/7') : undefined))
    const status = async (service: string) => (await client().check({ service })).status
    expect(await status('scheduler')).toBe(Serving.SERVING)
    expect(await status('')).toBe(Serving.NOT_SERVING)
    expect(await status('scheduler/0/7')).toBe(Serving.SERVING)
    expect(await status('scheduler/0/6')).toBe(Serving.NOT_SERVING)
    const error = await status('nobody').catch((thrown: unknown) => thrown)
    expect(error instanceof RpcError && error.code).toBe('NOT_FOUND')
    health.set('mediator', true)
    expect(await status('')).toBe(Serving.SERVING)
    expect(Object.keys((await client().list({})).statuses).sort()).toEqual([
      '',
      'mediator',
      'scheduler',
    ])
  })

  it('tells watchers of changes, of names that appear, and of the drain', async () => {
    const watch = client().watch({ service: 'late' })[Symbol.asyncIterator]()
    const next = async () => (await watch.next()).value?.status
    expect(await next()).toBe(Serving.SERVICE_UNKNOWN)
    world.health.set('late', true)
    expect(await next()).toBe(Serving.SERVING)
    world.health.drain()
    expect(await next()).toBe(Serving.NOT_SERVING)
    await watch.return?.()
  })

  it('leaves claims to their resolver while the process drains', async () => {
    let leads = true
    world.health.resolve((name) => (name === 'scheduler/0/1/c' ? leads : undefined))
    world.health.drain()
    const claim = async () => (await client().check({ service: 'scheduler/0/1/c' })).status
    expect(await claim()).toBe(Serving.SERVING)
    leads = false
    expect(await claim()).toBe(Serving.NOT_SERVING)
  })
})

describe('reflection', () => {
  async function ask(messageRequest: ServerReflectionRequest['messageRequest']) {
    const client = world.transport.client(ServerReflectionService, { address: world.address })
    async function* questions() {
      yield { host: '', messageRequest }
    }
    for await (const answer of client.serverReflectionInfo(questions())) {
      return answer.messageResponse
    }
    throw new Error('no answer')
  }

  const filesOf = (answer: Awaited<ReturnType<typeof ask>>) => {
    if (answer?.$case !== 'fileDescriptorResponse') throw new Error(`got ${answer?.$case}`)
    const files = answer.value.fileDescriptorProto
    return files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name)
  }

  it('lists services', async () => {
    const answer = await ask({ $case: 'listServices', value: '' })
    if (answer?.$case !== 'listServicesResponse') throw new Error('no list')
    expect(answer.value.service.map(({ name }) => name)).toEqual([
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
    ])
  })

  it('gives the file of a symbol with all of its imports', async () => {
    const service = 'serverlessai.job.v1.JobService'
    const files = filesOf(await ask({ $case: 'fileContainingSymbol', value: service }))
    expect(files[0]).toBe('serverlessai/job/v1/job.proto')
    expect(files).toContain('serverlessai/common/v1/common.proto')
    const method = `${service}.SubmitJob`
    expect(filesOf(await ask({ $case: 'fileContainingSymbol', value: method }))).toEqual(files)
    const nested = 'serverlessai.common.v1.Reason.Code'
    expect(filesOf(await ask({ $case: 'fileContainingSymbol', value: nested }))).toEqual([
      'serverlessai/common/v1/common.proto',
    ])
    const name = 'google/rpc/status.proto'
    expect(filesOf(await ask({ $case: 'fileByFilename', value: name }))).toContain(name)
  })

  it('says NOT_FOUND for what it does not know', async () => {
    const answer = await ask({ $case: 'fileContainingSymbol', value: 'a.B' })
    expect(answer).toMatchObject({ $case: 'errorResponse', value: { errorCode: 5 } })
  })
})

describe('loopback', () => {
  it.each(['127.0.0.1:1', '127.9.8.7:0', '[::1]:80', 'localhost:5', 'unix:/tmp/x'])(
    'is %s',
    (address) => expect(isLoopback(address)).toBe(true),
  )
  it.each(['0.0.0.0:1', '10.0.0.1:1', '[::]:1', 'localhost.example.com:1', '127.0.0.1.x.org:1'])(
    'is not %s',
    (address) => expect(isLoopback(address)).toBe(false),
  )
})
