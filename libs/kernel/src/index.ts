export * from './decider.ts'
export * from './invariant.ts'
export * from './ports.ts'
export * from './transport.ts'
