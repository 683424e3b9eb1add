// Network namespaces on one bridge: every host of a test has an address and a cable of its own, and
// the cable can be pulled. What is sent meanwhile is lost without an error, as in a real network.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** Networks of one machine: 10.213.N.0/24. */
const NETWORKS = 250

/** A machine of the network, as far as processes can tell. */
export interface LabHost {
  readonly name: string
  /** IPv4 address. */
  readonly address: string
  /** Words before a command that runs it on this host; they end in the command's own process. */
  readonly prefix: readonly string[]
  /** Pulls the cable: packets in both directions are lost without an error. */
  cutOff(): Promise<void>
  /** What it sends to these addresses is lost without an error; everybody else hears it. */
  cutFrom(addresses: readonly string[]): Promise<void>
  /** Plugs it in again; connections that were open go on. */
  reconnect(): Promise<void>
}

/** A network of hosts that the test's own process can reach. */
export interface LabNetwork {
  /** Address of the machine of the test itself. */
  readonly gateway: string
  /** Adds a host. */
  host(name: string): Promise<LabHost>
  /** Takes everything down; processes on its hosts must have ended. */
  close(): Promise<void>
}

const ip = async (...words: readonly string[]): Promise<string> => (await run('ip', words)).stdout

const ignore = (): void => undefined

let permitted: Promise<boolean> | undefined

/** True where this process may make network namespaces: on Linux, as root, with iproute2. */
export function networkPermitted(): Promise<boolean> {
  permitted ??= (async () => {
    const probe = `skprobe${process.pid}`
    try {
      await ip('netns', 'add', probe)
      await ip('-n', probe, 'link', 'set', 'lo', 'up')
      await ip('netns', 'exec', probe, 'true')
      await ip('netns', 'del', probe)
      return true
    } catch {
      return false
    }
  })()
  return permitted
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Takes down what a run left behind that was killed. */
async function reclaim(name: string): Promise<void> {
  const text = await ip('-j', 'link', 'show', 'dev', name).catch(() => '[]')
  const owner = /"ifalias":"pid (\d+)"/.exec(text)?.[1]
  if (owner === undefined || alive(Number(owner))) return
  await remove(name)
}

async function remove(name: string): Promise<void> {
  await ip('link', 'del', 'dev', name).catch(ignore)
  const spaces = (await ip('netns', 'list')).split('\n').map((line) => line.split(' ')[0] ?? '')
  for (const space of spaces.filter((each) => each.startsWith(`${name}-`))) {
    await ip('netns', 'del', space).catch(ignore)
  }
}

/** Takes a number that no other run has: the device of that name is the reservation. */
async function reserve(): Promise<number> {
  const first = Math.floor(Math.random() * NETWORKS)
  for (let attempt = 0; attempt < NETWORKS; attempt += 1) {
    const number = 1 + ((first + attempt) % NETWORKS)
    const name = `sk${number}`
    await reclaim(name)
    try {
      await ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`)
      await ip('link', 'set', 'dev', name, 'alias', `pid ${process.pid}`)
      return number
    } catch {
      // Somebody else's.
    }
  }
  throw new Error('no network of 10.213.0.0/16 is free')
}

/** Opens a network. Rejects where {@link networkPermitted} is false. */
export async function openLabNetwork(): Promise<LabNetwork> {
  const number = await reserve()
  const name = `sk${number}`
  const hub = `${name}-hub`
  const at = (host: number): string => `10.213.${number}.${host}`
  // The bridge has a namespace of its own: filters of the machine do not reach into it.
  await ip('netns', 'add', hub)
  await ip('link', 'set', `${name}p`, 'netns', hub)
  await ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge')
  await ip('-n', hub, 'link', 'set', 'br0', 'up')
  await ip('-n', hub, 'link', 'set', `${name}p`, 'master', 'br0', 'up')
  await ip('addr', 'add', `${at(1)}/24`, 'dev', name)
  await ip('link', 'set', 'dev', name, 'up')
  let hosts = 0
  return {
    gateway: at(1),
    async host(label) {
      hosts += 1
      const [index, space] = [hosts, `${name}-${hosts}`]
      const [cable, address] = [`cable${index}`, at(10 + index)]
      await ip('netns', 'add', space)
      const ends = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', space]
      await ip('link', 'add', cable, 'netns', hub, ...ends)
      await ip('-n', hub, 'link', 'set', cable, 'master', 'br0', 'up')
      await ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
      await ip('-n', space, 'link', 'set', 'eth0', 'up')
      await ip('-n', space, 'link', 'set', 'lo', 'up')
      const plug = async (way: 'master' | 'nomaster'): Promise<void> => {
        // The end of the cable stays up: processes see no change of the interface, only silence.
        const to = way === 'master' ? ['master', 'br0'] : ['nomaster']
        await ip('-n', hub, 'link', 'set', cable, ...to)
      }
      return {
        name: label,
        address,
        prefix: ['ip', 'netns', 'exec', space],
        cutOff: () => plug('nomaster'),
        async cutFrom(addresses) {
          const nobody = ['lladdr', '02:00:00:00:00:01', 'nud', 'permanent', 'dev', 'eth0']
          for (const one of addresses) await ip('-n', space, 'neigh', 'replace', one, ...nobody)
        },
        async reconnect() {
          await plug('master')
          await ip('-n', space, 'neigh', 'flush', 'nud', 'permanent', 'dev', 'eth0')
        },
      }
    },
    close: () => remove(name),
  }
}
