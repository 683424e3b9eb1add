/** `ServiceRuntime` of fault tolerance. */
export const FAULT_TOLERANCE_RUNTIME = Symbol('FAULT_TOLERANCE_RUNTIME')
