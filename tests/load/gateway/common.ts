import { Agent } from 'node:http'
import { quantile } from '../report.ts'
import type { Answer, Load } from './open-loop.ts'
import type { Part } from './parts.ts'

export const RATE = 300
export const PATH = '/services/t0/bench'

export const token = (tenant: string) => ({ authorization: `Bearer ${tenant}` })
export const agentOf = () => new Agent({ keepAlive: true, maxSockets: 4_096 })

/** Requests through a gateway, as tenant `t0`. */
export const toGateway = (gateway: Part, agent: Agent, more: Partial<Load> = {}): Load => ({
  url: `http://${gateway.address}${PATH}/`,
  agent,
  headers: token('t0'),
  rate: RATE,
  ...more,
})

export const good = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200)

export const latency = (answers: readonly Answer[], fraction: number): number =>
  quantile(
    answers.map(({ latencyMs }) => latencyMs),
    fraction,
  )

/** @throws Error when a request had no answer with 200 */
export function refuseLosses(what: string, answers: readonly Answer[]): void {
  const lost = answers.filter(({ status }) => status !== 200)
  if (lost.length === 0) return
  const statuses = [...new Set(lost.map(({ status }) => status))].join(', ')
  const count = `${lost.length} of ${answers.length}`
  throw new Error(`${what}: ${count} requests were not answered with 200 but ${statuses}`)
}
