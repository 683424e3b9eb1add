import { EventFeedServiceService } from '@serverless-ai/contracts/feed/v1/feed'
import { SERVICE_NAMES } from '@serverless-ai/contracts/services'
import { expect, it } from 'vitest'
import type { PlatformOptions } from './options.ts'
import { memoryCell } from './testing/memory-cell.ts'

const LISTEN = '127.0.0.1:1'
const FEED = { service: 'autoscaler', partition: 0 }

/** A process of the mediator that was told where the scheduler is, and what else is given. */
function mediator(more: Partial<PlatformOptions> = {}) {
  const { time, process } = memoryCell({ seed: 1 })
  const peers = { scheduler: 's1:1,s2:1' }
  return { time, alone: process({ listen: LISTEN, services: ['mediator'], peers, ...more }) }
}

it('known are the services that are configured and those that the process runs', () => {
  const { peers } = mediator().alone.kit
  const known = SERVICE_NAMES.filter((service) => peers.knows(service))
  expect(known).toEqual(['mediator', 'scheduler'])
  expect(known.map((service) => peers.addressOf(service))).toEqual([LISTEN, 's1:1,s2:1'])
  expect(() => peers.addressOf('autoscaler')).toThrow(
    'no address is configured for autoscaler; set --peers.autoscaler HOST:PORT',
  )
})

it('a process that runs all of them knows all of them, at its own address', () => {
  const { process } = memoryCell({ seed: 1 })
  const { peers } = process({ listen: LISTEN }).kit
  expect(SERVICE_NAMES.map((service) => peers.addressOf(service))).toEqual(
    SERVICE_NAMES.map(() => LISTEN),
  )
})

it('a configured address counts for a service that runs here as well', () => {
  const { peers } = mediator({ peers: { mediator: 'm1:1,m2:1' } }).alone.kit
  expect(peers.addressOf('mediator')).toBe('m1:1,m2:1')
})

it('calls to a service that is not known fail, unary ones and streams', async () => {
  const { peers } = mediator().alone.kit
  const feed = peers.client(EventFeedServiceService, 'autoscaler')
  const fails = { code: 'UNAVAILABLE', message: expect.stringContaining('--peers.autoscaler') }
  await expect(
    feed.getFeedSnapshot({ ...FEED, types: [], pageSize: 1, pageToken: '' }),
  ).rejects.toMatchObject(fails)
  const all = async () => {
    for await (const _ of feed.watchFeed({ ...FEED, afterSeq: 0n })) break
  }
  await expect(all()).rejects.toMatchObject(fails)
})

it('a process starts without a service that it needs, and says what is missing', async () => {
  const { time, alone } = mediator({ required: ['autoscaler'] })
  await time.run(alone.start())
  expect(await time.run(alone.kit.readiness.missing())).toEqual([
    'peer autoscaler: no address is configured for autoscaler; set --peers.autoscaler HOST:PORT',
  ])
  await time.run(alone.stop())
})
