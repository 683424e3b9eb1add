export { DeciderSpec, Outcome, spec } from './decider-spec.ts'
