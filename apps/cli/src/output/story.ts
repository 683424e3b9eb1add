import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { clockTime, plain } from './text.ts'

/** `name=value` of each number and name of a story. */
export const pairs = (details: StoryEntry['details']): readonly string[] =>
  Object.entries(details).map(([name, value]) => `${name}=${value}`)

/** What a service tells of something, with days: `sai slo explain`, `sai profile --explain`. */
export function datedStory(story: readonly StoryEntry[]): string {
  if (story.length === 0) return 'nothing happened yet\n'
  const lines = story.map(({ atMs, code, details }) => {
    const day = new Date(Number(atMs)).toISOString().slice(0, 10)
    return `${day} ${clockTime(atMs)}  ${plain(`${code}  ${pairs(details).join(' ')}`)}\n`
  })
  return lines.join('')
}
