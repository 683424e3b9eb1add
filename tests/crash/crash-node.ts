/**
 * Loaded before the main of a supervisor or an agent: recognises the moments of a node by the files
 * that are put in place and by the messages between the two, and ends the process at the ordered
 * one. The product itself knows nothing of it.
 */
import type { ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname } from 'node:path'
import { armChildren } from './arm-children.ts'
import type { NodeMoment } from './moments.ts'
import { Trap } from './trap.ts'

const configFile = process.argv[process.argv.indexOf('--config') + 1] ?? ''
const trap = new Trap(dirname(configFile))

function dieAt(moment: NodeMoment | undefined): void {
  if (moment !== undefined && trap.hit(moment)) void trap.die()
}

/** What a file that replaces another one makes durable: the moments before and after. */
function momentsOf(from: string, to: string): { before?: NodeMoment; after?: NodeMoment } {
  switch (basename(to)) {
    case 'desired.json':
      return { before: 'desired-unjournalled', after: 'desired-unapplied' }
    case 'exit.json':
      return { before: 'exit-unrecorded', after: 'exit-unreported' }
    case 'started.json': {
      const { pid } = JSON.parse(fs.readFileSync(from, 'utf8'))
      if (pid !== 0) return { before: 'spawned-unrecorded' }
      return { before: 'start-unrecorded', after: 'started-unspawned' }
    }
    default:
      return to.includes('/ended/') ? { before: 'forget-unmoved' } : {}
  }
}

function trapFiles(): void {
  const { renameSync } = fs
  const trapped = (from: string, to: string): void => {
    const { before, after } = momentsOf(from, to)
    dieAt(before)
    renameSync(from, to)
    dieAt(after)
  }
  Object.assign(fs, { renameSync: trapped })
  syncBuiltinESMExports()
}

interface Channel {
  emit(name: string | symbol, ...parameters: unknown[]): boolean
  send?(...parameters: unknown[]): boolean
}

/** Sees each message that comes or goes before the product does. */
function watchMessages(
  channel: Channel,
  seen: { readonly came: (type: unknown) => void; readonly goes: (type: unknown) => void },
): void {
  const { emit, send } = channel
  const typeOf = (message: unknown): unknown => Object(message).type
  Object.assign(channel, {
    emit(name: string | symbol, ...parameters: unknown[]): boolean {
      if (name === 'message') seen.came(typeOf(parameters[0]))
      return Reflect.apply(emit, channel, [name, ...parameters])
    },
    send(...parameters: unknown[]): boolean {
      seen.goes(typeOf(parameters[0]))
      return send === undefined ? false : Reflect.apply(send, channel, parameters)
    },
  })
}

function trapSupervisor(): void {
  trapFiles()
  armChildren((agent: ChildProcess) =>
    watchMessages(agent, {
      came: (type) => dieAt(type === 'ack' ? 'ack-unread' : undefined),
      goes: (type) => dieAt(type === 'report' ? 'report-unsent' : undefined),
    }),
  )
}

function trapAgent(): void {
  watchMessages(process, {
    came(type) {
      if (type !== 'report') return
      dieAt('report-unpassed')
      // The agent handles the message in this turn.
      if (trap.hit('report-unacknowledged')) void trap.dieSoon()
    },
    goes(type) {
      if (type === 'desired') dieAt('desired-unpassed')
      if (type === 'ack') dieAt('ack-unpassed')
    },
  })
}

if (process.argv[1]?.endsWith('/agent.js')) trapAgent()
else trapSupervisor()
