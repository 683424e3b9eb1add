/** A call as the link that carries it sees it. */
export interface LinkedCall {
  /** Where it goes. */
  readonly address: string
  /** `/package.Service/Method`. */
  readonly path: string
  /**
   * One request, one answer, each in one message: such a request may arrive twice, and either may
   * be lost alone. The messages of a stream arrive in order, until the connection breaks.
   */
  readonly unary: boolean
  /** The caller learns that the connection is lost: the call ends with `UNAVAILABLE`. */
  failCaller(): void
  /** The server learns it: the handler is told that its caller is gone. */
  failServer(): void
}

/** The two directions of one call. What is given to it arrives when the link calls `deliver`. */
export interface Wire {
  /** `bytes`: size of the message, 0 for what only steers the call (cancel, end, credit). */
  toServer(bytes: number, deliver: () => void): void
  toCaller(bytes: number, deliver: () => void): void
  /** This end is done with the call: nothing that still arrives there matters. */
  leave(end: 'caller' | 'server'): void
}

/**
 * What carries the calls of one caller over a {@link MemoryNetwork}: where faults come in. It may
 * hold messages back, drop them, deliver a unary request twice, and break calls.
 */
export interface Link {
  open(call: LinkedCall): Wire
}

const directWire: Wire = {
  toServer: (_bytes, deliver) => deliver(),
  toCaller: (_bytes, deliver) => deliver(),
  leave: () => undefined,
}

/** A link that delivers everything at once. */
export const DIRECT: Link = { open: () => directWire }
