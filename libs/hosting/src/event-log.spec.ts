import { kafkaConfig } from '@serverless-ai/config'
import { describe, expect, it } from 'vitest'
import { retentionDaysOf } from './event-log.ts'

describe('the past of a log', () => {
  const embedded = kafkaConfig.parse({})
  const kafka = kafkaConfig.parse({ brokers: ['127.0.0.1:9092'] })

  it.each([
    ['embedded', embedded, undefined, 14],
    ['embedded', embedded, 3, 3],
    ['embedded', embedded, 0, 0],
    ['on Kafka', kafka, undefined, 0],
    ['on Kafka', kafka, 30, 30],
  ] as const)('%s is kept for so many days, 0 = for ever', (_, where, retentionDays, days) => {
    expect(retentionDaysOf({ kafka: where, retentionDays })).toBe(days)
  })
})
