// What metrics of several parts share: who emits them, labels, buckets.
import { SERVICE_NAMES, type ServiceName } from '@serverless-ai/contracts/services'

/** Services with a log of their own. */
export const SERVICES = SERVICE_NAMES
export const PROCESS = ['process'] as const

const meaning = 'Service whose log it is'
export const service = { meaning, values: SERVICES }
/** Who emits a metric of one service alone, and its label. */
export const of = (name: ServiceName) => ({ service: { meaning, values: [name] }, from: [name] })

export const process = { meaning: 'Name of the process: a service, or `all-in-one`' }
export const topic = { meaning: 'Topic, with its prefix where there is one' }
export const method = { meaning: 'Full name of the method, `package.Service/Method`' }
export const code = { meaning: 'Canonical gRPC code; `OK` = answered' }

/** 0.5 ms to 10 s. */
export const LATENCY = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]
