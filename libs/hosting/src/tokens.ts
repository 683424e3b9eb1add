/** Injection tokens. Always injected explicitly: `@Inject(SERVICE_KIT)`. */

/** {@link ServiceKit} of this process: what services are installed in. */
export const SERVICE_KIT = Symbol('SERVICE_KIT')
/** {@link ControlPlaneProcess}. */
export const CONTROL_PLANE = Symbol('CONTROL_PLANE')
