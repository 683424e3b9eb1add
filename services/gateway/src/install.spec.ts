import { memoryCell } from '@serverless-ai/hosting/testing'
import { expect, test } from 'vitest'
import { edgeConfig } from './config.ts'
import { installGateway } from './install.ts'

/** What a gateway that is started alone says when it is made. */
function said(peers: Readonly<Record<string, string>>) {
  const { ports, process } = memoryCell({ seed: 1 })
  const { kit } = process({ listen: '127.0.0.1:1', services: [], peers })
  installGateway(kit, { ...edgeConfig.parse({}), host: '127.0.0.1', port: 0 })
  return ports.logger.lines.map(({ message }) => message)
}

test('a gateway that knows no autoscaler says so, once and at the start', () => {
  expect(said({ scheduler: '127.0.0.1:2' })).toEqual([
    expect.stringContaining('--peers.autoscaler HOST:PORT'),
  ])
})

test('one that knows it is silent', () => {
  expect(said({ autoscaler: '127.0.0.1:2' })).toEqual([])
})
