import type { StoryEntry } from '@serverless-ai/contracts/schedule/v1/schedule'
import { clockTime, plain } from './text.ts'

/** What a service tells of something, with days: `sai slo explain`, `sai profile --explain`. */
export function datedStory(story: readonly StoryEntry[]): string {
  if (story.length === 0) return 'nothing happened yet\n'
  const lines = story.map(({ atMs, code, details }) => {
    const said = Object.entries(details).map(([name, value]) => `${name}=${value}`)
    const day = new Date(Number(atMs)).toISOString().slice(0, 10)
    return `${day} ${clockTime(atMs)}  ${plain(`${code}  ${said.join(' ')}`)}\n`
  })
  return lines.join('')
}
