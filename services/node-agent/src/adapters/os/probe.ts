import { request } from 'node:http'
import { connect } from 'node:net'
import { codeOf } from '../../core/errors.ts'
import type { ReadinessProbe } from '../../core/probe.ts'

/** Largest answer that is read, bytes; the rest is of no interest. */
const HEADERS_MAX_BYTES = 16 * 1024

/**
 * Asks a task at an address of this node once: a GET, or a connection.
 *
 * @returns empty when it can take requests, else why not in one line
 */
export function askProbe(host: string, probe: ReadinessProbe): Promise<string> {
  return probe.httpGet === '' ? askTcp(host, probe) : askHttp(host, probe)
}

const late = ({ timeoutMs }: ReadinessProbe): string => `no answer in ${timeoutMs} ms`
const failed = (error: unknown): string => codeOf(error) || String(error)

function askTcp(host: string, probe: ReadinessProbe): Promise<string> {
  const { port, timeoutMs } = probe
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const done = (problem: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(problem === '' ? '' : `port ${port}: ${problem}`)
    }
    const timer = setTimeout(() => done(late(probe)), timeoutMs)
    socket.once('connect', () => done(''))
    socket.once('error', (error) => done(failed(error)))
  })
}

function askHttp(host: string, probe: ReadinessProbe): Promise<string> {
  const { port, httpGet: path, timeoutMs } = probe
  return new Promise((resolve) => {
    const asked = request({
      host,
      port,
      path,
      agent: false,
      maxHeaderSize: HEADERS_MAX_BYTES,
      headers: { 'user-agent': 'serverless-ai-readiness', connection: 'close' },
    })
    const done = (problem: string) => {
      clearTimeout(timer)
      asked.destroy()
      resolve(problem === '' ? '' : `GET ${path}: ${problem}`)
    }
    const timer = setTimeout(() => done(late(probe)), timeoutMs)
    asked.once('response', ({ statusCode = 0 }) => {
      done(statusCode >= 200 && statusCode < 400 ? '' : String(statusCode))
    })
    // A second error may follow its own end.
    asked.on('error', (error) => done(failed(error)))
    asked.end()
  })
}
