/**
 * A small service for the specs of the runtime: accounts, with a command for everything a core can
 * do.
 */
import {
  accept,
  type Decider,
  type Decision,
  type EffectRequest,
  InvariantError,
  type Json,
  refuse,
} from '@serverless-ai/kernel'
import type { InputSource, PublicEvent, ServiceDefinition } from '../types.ts'

export type BankCommand =
  | { readonly type: 'Add'; readonly key: string; readonly n: number; readonly padding?: string }
  | { readonly type: 'AddMany'; readonly key: string; readonly count: number }
  | { readonly type: 'Take'; readonly key: string; readonly n: number }
  /** `decide` throws. */
  | { readonly type: 'Boom' }
  /** `evolve` throws. */
  | { readonly type: 'BoomLater' }
  /** Its public event has so many bytes. */
  | { readonly type: 'Shout'; readonly bytes: number }
  | { readonly type: 'Call'; readonly key: string }
  | { readonly type: 'Called'; readonly key: string }
  /** Settles a call without its outcome. */
  | { readonly type: 'HangUp'; readonly key: string }
  | { readonly type: 'Remind'; readonly key: string; readonly dueMs: number }
  | { readonly type: 'Reminded'; readonly key: string }
  | { readonly type: 'Seen'; readonly key: string; readonly seq: number }
  | { readonly type: 'SeenAll'; readonly keys: readonly string[] }
  /** Accepted by `afterBatch` once per batch while it is on. */
  | { readonly type: 'Interest'; readonly on: boolean }

/** The command that most specs give. */
export const add = (key: string, n = 1): BankCommand => ({ type: 'Add', key, n })

export type BankEvent =
  | { readonly type: 'Added'; readonly key: string; readonly n: number; readonly padding?: string }
  | { readonly type: 'Broken' }
  | { readonly type: 'Shouted'; readonly bytes: number }
  | { readonly type: 'CallStarted'; readonly key: string }
  | { readonly type: 'CallEnded'; readonly key: string }
  | { readonly type: 'CallCancelled'; readonly key: string }
  | { readonly type: 'ReminderSet'; readonly key: string }
  | { readonly type: 'ReminderRang'; readonly key: string }
  | { readonly type: 'SeenOther'; readonly key: string; readonly seq: number }
  | { readonly type: 'SeenReplaced'; readonly keys: readonly string[] }
  | { readonly type: 'InterestSet'; readonly on: boolean }
  | { readonly type: 'InterestPaid' }

export interface BankState {
  accounts: Map<string, number>
  calls: string[]
  reminders: string[]
  seen: Map<string, number>
  lastSeen: number
  /** Inputs that were taken more than once. */
  repeated: number
  events: number
  interest: boolean
  paid: number
}

function decide(command: BankCommand, state: BankState): Decision<BankEvent> {
  switch (command.type) {
    case 'Add': {
      const { key, n, padding } = command
      const event = {
        type: 'Added',
        key,
        n,
        ...(padding === undefined ? {} : { padding }),
      } as const
      return accept<BankEvent>([event], { answer: { balance: (state.accounts.get(key) ?? 0) + n } })
    }
    case 'AddMany': {
      const events: BankEvent[] = []
      for (let i = 0; i < command.count; i += 1) {
        events.push({ type: 'Added', key: command.key, n: 1 })
      }
      return accept(events)
    }
    case 'Take': {
      const balance = state.accounts.get(command.key) ?? 0
      if (balance < command.n) return refuse('NOT_ENOUGH', { balance, wanted: command.n })
      return accept<BankEvent>([{ type: 'Added', key: command.key, n: -command.n }])
    }
    case 'Boom':
      throw new Error('decide failed')
    case 'BoomLater':
      return accept<BankEvent>([{ type: 'Added', key: 'half', n: 1 }, { type: 'Broken' }])
    case 'Shout':
      return accept<BankEvent>([{ type: 'Shouted', bytes: command.bytes }])
    case 'Call': {
      const effects = [{ key: `call:${command.key}`, kind: 'call', payload: { to: command.key } }]
      return accept<BankEvent>([{ type: 'CallStarted', key: command.key }], { effects })
    }
    case 'Called':
      return accept<BankEvent>([{ type: 'CallEnded', key: command.key }])
    case 'HangUp':
      return accept<BankEvent>([{ type: 'CallCancelled', key: command.key }], {
        settles: [`call:${command.key}`],
      })
    case 'Remind': {
      const timers = [{ key: command.key, dueMs: command.dueMs }]
      return accept<BankEvent>([{ type: 'ReminderSet', key: command.key }], { timers })
    }
    case 'Reminded':
      return accept<BankEvent>([{ type: 'ReminderRang', key: command.key }])
    case 'Seen':
      return accept<BankEvent>([{ type: 'SeenOther', key: command.key, seq: command.seq }])
    case 'SeenAll':
      return accept<BankEvent>([{ type: 'SeenReplaced', keys: command.keys }])
    case 'Interest':
      return accept<BankEvent>([{ type: 'InterestSet', on: command.on }])
  }
}

function evolve(state: BankState, event: BankEvent): BankState {
  state.events += 1
  switch (event.type) {
    case 'Added':
      state.accounts.set(event.key, (state.accounts.get(event.key) ?? 0) + event.n)
      return state
    case 'Broken':
      throw new InvariantError('evolve failed')
    case 'Shouted':
      return state
    case 'CallStarted':
      state.calls.push(`start ${event.key}`)
      return state
    case 'CallEnded':
      state.calls.push(`end ${event.key}`)
      return state
    case 'CallCancelled':
      state.calls.push(`cancel ${event.key}`)
      return state
    case 'ReminderSet':
      state.reminders.push(`set ${event.key}`)
      return state
    case 'ReminderRang':
      state.reminders.push(`rang ${event.key}`)
      return state
    case 'SeenOther':
      if (event.seq <= state.lastSeen) state.repeated += 1
      state.lastSeen = event.seq
      state.seen.set(event.key, event.seq)
      return state
    case 'SeenReplaced':
      state.seen = new Map(event.keys.map((key) => [key, 0]))
      return state
    case 'InterestSet':
      state.interest = event.on
      return state
    case 'InterestPaid':
      state.paid += 1
      return state
  }
}

export const bankDecider: Decider<BankState, BankCommand, BankEvent> = {
  initial: () => ({
    accounts: new Map(),
    calls: [],
    reminders: [],
    seen: new Map(),
    lastSeen: 0,
    repeated: 0,
    events: 0,
    interest: false,
    paid: 0,
  }),
  decide,
  evolve,
  afterBatch: (state) =>
    state.interest ? accept<BankEvent>([{ type: 'InterestPaid' }]) : undefined,
  toJson: (state): Json => ({
    accounts: [...state.accounts],
    calls: [...state.calls],
    reminders: [...state.reminders],
    seen: [...state.seen],
    lastSeen: state.lastSeen,
    repeated: state.repeated,
    events: state.events,
    interest: state.interest,
    paid: state.paid,
  }),
  fromJson: (json) => {
    const state = JSON.parse(JSON.stringify(json))
    return { ...state, accounts: new Map(state.accounts), seen: new Map(state.seen) }
  },
}

const text = new TextEncoder()

/** Of no interest to those who listen. */
export const isDull = ({ key }: { key: string }): boolean => key.startsWith('dull')

/** The bank as a service. `other`: a source of inputs. */
export function bank(
  more: {
    name?: string
    other?: string
    perform?: (
      effect: EffectRequest,
      context: { attempt: number; signal: AbortSignal },
    ) => Promise<BankCommand>
    decider?: Decider<BankState, BankCommand, BankEvent>
  } = {},
): ServiceDefinition<BankState, BankCommand, BankEvent> {
  const source: InputSource<BankCommand> = {
    service: more.other ?? '',
    toCommand: (event: PublicEvent) => {
      if (event.key === 'undecodable') throw new Error('cannot be decoded')
      if (event.key === 'undecidable') return { type: 'Boom' }
      if (event.key === 'unevolvable') return { type: 'BoomLater' }
      return isDull(event) ? undefined : { type: 'Seen', key: event.key, seq: event.seq }
    },
    replaced: (events) => {
      const keys = events.filter((event) => !isDull(event)).map(({ key }) => key)
      return { type: 'SeenAll', keys }
    },
  }
  return {
    name: more.name ?? 'bank',
    schemaVersion: 1,
    decider: more.decider ?? bankDecider,
    publish: (event) => {
      if (event.type === 'Added') {
        return [
          {
            type: 'bank.v1.Added',
            key: event.key,
            tenant: 't',
            payload: text.encode(`${event.n}`),
          },
        ]
      }
      if (event.type !== 'Shouted') return []
      const payload = new Uint8Array(event.bytes)
      return [{ type: 'bank.v1.Shouted', key: 'shout', tenant: '', payload }]
    },
    *snapshotFeed(state) {
      for (const [key, n] of state.accounts) {
        yield { type: 'bank.v1.Added', key, tenant: 't', payload: text.encode(`${n}`) }
      }
    },
    inputs: more.other === undefined ? [] : [source],
    onTimer: (key) => ({ type: 'Reminded', key }),
    ...(more.perform === undefined ? {} : { perform: more.perform }),
  }
}
