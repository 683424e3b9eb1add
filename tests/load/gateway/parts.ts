import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { GatewaySettings, ReplicaRoute, ServiceRoute } from '@serverless-ai/gateway'
import { freePorts } from '../../support/ports.ts'
import { until } from '../../support/until.ts'
import type { Ask } from './gateway-main.ts'

/** Beside this file, built or not. */
const mainOf = (name: string): string =>
  fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url))

interface Said {
  readonly port?: number
  readonly rssBytes?: number
  readonly requests?: number
  readonly cpuMs?: number
}

const said = (child: ChildProcess): Promise<Said> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`it ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message as Said)
    })
  })

/** A process of a benchmark. */
export class Part {
  readonly child: ChildProcess
  readonly port: number

  private constructor(child: ChildProcess, port: number) {
    this.child = child
    this.port = port
  }

  static async start(main: string, args: readonly string[] = []): Promise<Part> {
    const child = fork(mainOf(main), args, { execArgv: ['--expose-gc'] })
    const { port = 0 } = await said(child)
    return new Part(child, port)
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  ask(ask: Ask): Promise<Said> {
    const answer = said(this.child)
    this.child.send(ask)
    return answer
  }

  /** SIGKILL, or SIGTERM to one that may end what it has. */
  async stop(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill(signal)
    await ended
  }
}

export const startReplica = (): Promise<Part> => Part.start('replica-main')
export const startGateway = (settings: Partial<GatewaySettings> = {}): Promise<Part> =>
  Part.start('gateway-main', [JSON.stringify(settings)])

export const routeTo = (part: Part, gang: number, more: Partial<ReplicaRoute> = {}) => ({
  gang,
  generation: 1,
  address: part.address,
  ready: true,
  draining: false,
  ...more,
})

/** The one service of a benchmark, `t0/bench`. */
export const service = (
  replicas: readonly ReplicaRoute[],
  more: Partial<ServiceRoute> = {},
): ServiceRoute => ({
  jobId: 'job',
  tenant: 't0',
  name: 'bench',
  protocol: 'http1',
  concurrency: 0,
  tokens: 0,
  class: '',
  sessions: false,
  replicas,
  ...more,
})

const CONFIG = (listen: number, upstream: string, folder: string) => `
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log warn;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream bench { server ${upstream}; keepalive 128; }
  server {
    listen 127.0.0.1:${listen} backlog=4096;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://bench/; proxy_http_version 1.1; proxy_set_header Connection "";
    }
  }
}
`

/** Debian's nginx with one worker before a replica. Undefined = it is not installed. */
export async function startNginx(
  upstream: string,
): Promise<{ readonly port: number; stop(): Promise<void> } | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'sai-nginx-'))
  const port = await freePorts(1)
  writeFileSync(join(folder, 'nginx.conf'), CONFIG(port, upstream, folder))
  const child = spawn('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const missing = await new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(true))
    child.once('spawn', () => resolve(false))
  })
  if (missing) return undefined
  const listens = () =>
    new Promise<true | undefined>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.once('error', () => resolve(undefined))
    })
  await until('nginx listens', listens, { timeoutMs: 10_000 })
  return {
    port,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
