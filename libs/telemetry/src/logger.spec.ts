import { describe, expect, it } from 'vitest'
import { createLogger } from './logger.ts'

function capture(level: 'debug' | 'info' | 'warn' | 'error' | 'silent') {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (text: string) => void lines.push(JSON.parse(text)) }
  return { lines, logger: createLogger({ service: 'scheduler', level, destination }) }
}

describe('logger', () => {
  it('writes one object per line with service, level, time and fields', () => {
    const { lines, logger } = capture('info')
    logger.child({ partition: 3 }).log('info', 'leading', { epoch: 7 })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      level: 'info',
      service: 'scheduler',
      msg: 'leading',
      partition: 3,
      epoch: 7,
    })
    expect(lines[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/)
  })

  it('drops what is below its level', () => {
    const { lines, logger } = capture('warn')
    logger.log('info', 'no')
    logger.log('error', 'yes')
    expect(lines.map((line) => line.msg)).toEqual(['yes'])
  })

  it('shows errors with their stack and masks secrets', () => {
    const { lines, logger } = capture('debug')
    logger.log('error', 'failed', { error: new Error('boom'), token: 'hush', call: { token: 'x' } })
    expect(lines[0]?.error).toMatchObject({ message: 'boom', stack: expect.any(String) })
    expect(JSON.stringify(lines)).not.toContain('hush')
    expect(lines[0]?.call).toEqual({ token: '***' })
  })
})
