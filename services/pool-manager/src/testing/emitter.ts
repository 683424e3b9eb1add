import { accept, type Decider, type Json } from '@serverless-ai/kernel'
import type { ServiceDefinition } from '@serverless-ai/runtime'

/** A public event to emit; the payload as base64. */
export interface Emission {
  readonly type: string
  readonly key: string
  readonly tenant: string
  readonly payload: string
}

export interface Emit {
  readonly type: 'Emit'
  readonly emission: Emission
}
export interface Emitted {
  readonly type: 'Emitted'
  readonly emission: Emission
}

const decider: Decider<Emission[], Emit, Emitted> = {
  initial: () => [],
  decide: ({ emission }) => accept([{ type: 'Emitted', emission }]),
  evolve: (state, { emission }) => {
    state.push(emission)
    return state
  },
  toJson: (state): Json => state.map((each) => ({ ...each })),
  // These tests never load a snapshot.
  fromJson: () => [],
}

const draftOf = (emission: Emission) => ({
  type: emission.type,
  key: emission.key,
  tenant: emission.tenant,
  payload: new Uint8Array(Buffer.from(emission.payload, 'base64')),
})

/**
 * A service on a real runtime that publishes what it is told to: stands where another service
 * would.
 */
export function emitterDefinition(name: string): ServiceDefinition<Emission[], Emit, Emitted> {
  return {
    name,
    schemaVersion: 1,
    decider,
    publish: ({ emission }) => [draftOf(emission)],
    snapshotFeed: (state) => state.map(draftOf),
    inputs: [],
  }
}
