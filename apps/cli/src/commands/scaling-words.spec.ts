import { readFileSync } from 'node:fs'
import { Note } from '@serverless-ai/contracts/scaling/v1/scaling'
import { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { expect, it } from 'vitest'
import { blockedText, blockedWord, noteText, storyText } from './scaling-words.ts'

const tell = (code: string, details: Record<string, string> = {}) =>
  storyText(StoryEntry.fromPartial({ code, details }))

it.each([
  [
    'OWNER_CHANGED',
    { from: 'autoscaler', to: 'user', wanted: '1' },
    'a user decides from now on (1 wanted): decisions are advice',
  ],
  [
    'OWNER_CHANGED',
    { from: 'user', to: '', wanted: '1' },
    'the autoscaler decides from now on (1 wanted)',
  ],
  [
    'SERVICE_DECLARED',
    { policy: 'kpa', idleMs: '60000', devicesEach: '1' },
    'declared: policy kpa, idle after 1 min 0 s without requests, 1 device each',
  ],
  ['TARGET_TRACKED', { min: '0', max: '4', wanted: '2' }, 'followed: 2 wanted, 0 to 4'],
  [
    'GRANTED_IN_PART',
    { decision: 'd-0-1', wanted: '3', granted: '1', version: '4', waiting: 'CAPACITY_WAIT' },
    'the scheduler has devices for 1 of 3, the others wait (CAPACITY_WAIT); d-0-1',
  ],
  [
    'RESIZED',
    { decision: 'd-0-1', wanted: '3', granted: '3', version: '4' },
    'the scheduler has given 3; d-0-1',
  ],
  [
    'RESIZE_REFUSED',
    { decision: 'd-0-1', code: 'STALE_SCALE', current: '4' },
    'the scheduler refused d-0-1: STALE_SCALE current=4',
  ],
])('the story tells %s in words', (code, details, words) => {
  expect(tell(code, details)).toBe(`${words} [${code}]`)
})

it('each code that the guide explains has words', () => {
  const guide = readFileSync(new URL('../../../../docs/how-to/scaling.md', import.meta.url), 'utf8')
  const table = guide.slice(guide.indexOf('| code | meaning |'))
  const codes = [...table.matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, code = '']) => code)
  expect(codes.length).toBeGreaterThan(15)
  for (const code of codes) {
    expect(noteText(Note.fromPartial({ code })), code).toMatch(/^[a-z].* \[[A-Z_]+\]$/)
  }
})

it('what a newer platform tells is told as it is', () => {
  expect(tell('SOMETHING_NEW', { a: '1' })).toBe('something_new a=1')
  const note = Note.fromPartial({ code: 'NEW' })
  expect(noteText({ ...note, numbers: [{ name: 'n', value: 1n }] })).toBe('NEW (n 1)')
  expect([blockedWord('NEW'), blockedText('NEW')]).toEqual(['new', 'NEW'])
})
