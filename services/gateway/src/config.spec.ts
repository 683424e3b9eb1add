import { REQUEST_TIMEOUT_MAX_MS } from '@serverless-ai/contracts/services'
import { expect, it } from 'vitest'
import { edgeConfig } from './config.ts'

it('a request gets no more time than the autoscaler waits for one that is inside', () => {
  const timeoutMs = REQUEST_TIMEOUT_MAX_MS
  expect(edgeConfig.parse({ timeoutMs })).toMatchObject({ timeoutMs })
  const refused = edgeConfig.safeParse({ timeoutMs: timeoutMs + 1 })
  expect(refused.error?.issues).toMatchObject([{ code: 'too_big', path: ['timeoutMs'] }])
})
