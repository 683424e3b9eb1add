/** `ServiceRuntime` of the mediator. */
export const MEDIATOR_RUNTIME = Symbol('MEDIATOR_RUNTIME')
/** `BlobStore` of the workspaces. */
export const WORKSPACE_STORE = Symbol('WORKSPACE_STORE')
