import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { readDescriptorSet } from '@serverless-ai/contracts'
import { JobStateChanged } from '@serverless-ai/contracts/events/v1/scheduler'
import { expect, test } from 'vitest'
import { decodeEvent, EVENT_NAMES } from './decode.ts'
import { judge, readRecord } from './event.ts'

test('every public event of the contract can be decoded, and nothing else', () => {
  const set = fromBinary(FileDescriptorSetSchema, readDescriptorSet())
  const files = set.file.filter((file) => file.package === 'serverlessai.events.v1')
  const events = files.flatMap((file) => {
    const comment = (index: number) =>
      file.sourceCodeInfo?.location.find(({ path }) => path.join() === `4,${index}`)
        ?.leadingComments ?? ''
    // What is no event itself but a part of one has no key.
    return file.messageType.filter((_, index) => /Key:\s/.test(comment(index)))
  })
  expect(events.map(({ name }) => name).toSorted()).toEqual(EVENT_NAMES.toSorted())
})

test('a known type is decoded, an unknown one is left to the caller', () => {
  const payload = JobStateChanged.encode(JobStateChanged.fromPartial({ jobId: 'j-1' })).finish()
  const event = { type: 'serverlessai.events.v1.JobStateChanged', payload }
  const decoded = decodeEvent(event)
  expect(decoded?.name === 'JobStateChanged' && decoded.value.jobId).toBe('j-1')
  const unknown = ['serverlessai.events.v1.JobDreamt', 'x', 'serverlessai.events.v1.toString']
  for (const type of unknown) expect(decodeEvent({ type, payload })).toBeUndefined()
  expect(() => decodeEvent({ ...event, payload: Uint8Array.of(0xff) })).toThrow()
})

test('numbers are next, repeated or show a gap', () => {
  expect([0, 4, 5, 6, 7].map((seq) => judge({ seq: 5 }, seq))).toEqual([
    'repeated',
    'repeated',
    'repeated',
    'next',
    'gap',
  ])
})

test('a record of another service, partition or form is no event', () => {
  const headers = { ce_id: 'scheduler/2/7', ce_time: '2026-01-02T03:04:05.000Z', ce_type: 't' }
  const record = { offset: 9, key: 'k', headers, value: Uint8Array.of(1) }
  const at = { service: 'scheduler', partition: 2 }
  expect(readRecord(at, record)).toMatchObject({
    offset: 9,
    event: { source: 'scheduler', partition: 2, seq: 7, type: 't', key: 'k', tenant: '' },
  })
  expect(readRecord({ ...at, partition: 1 }, record).problem).toContain("ce_id 'scheduler/2/7'")
  for (const wrong of [
    { ce_id: 'scheduler/2/0' },
    { ce_id: 'scheduler/2/x' },
    { ce_time: 'now' },
  ]) {
    const changed = { ...record, headers: { ...headers, ...wrong } }
    expect(readRecord(at, changed).event).toBeUndefined()
  }
})
