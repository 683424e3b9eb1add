import type { EventLog } from '@serverless-ai/eventlog'
import type { RuntimeEnvironment } from '../types.ts'

/** An environment whose log is changed in some methods. */
export const withLog =
  (change: (log: EventLog) => Partial<EventLog>) =>
  (environment: RuntimeEnvironment): RuntimeEnvironment => {
    const { eventLog } = environment
    const changed = change(eventLog)
    const wrapped = new Proxy(eventLog, {
      get: (target, name) => {
        const value = Reflect.get(changed, name) ?? Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    return { ...environment, eventLog: wrapped }
  }
