/** What the proxy needs of a connection to a replica; one adapter for each protocol. */
/** A request on its way to a replica. */
export interface UpstreamRequest {
  readonly method: string
  readonly target: string
  readonly headers: Record<string, string | string[]>
  /** Sent as it is; pieces are asked for once there is a connection, not before. */
  readonly body: AsyncIterable<Buffer> | Buffer | undefined
  /** Longest silence within the answer, ms. */
  readonly silenceMs: number
}

/** How a request to a replica failed. */
export type FailureKind =
  /** Nothing of it was sent. */
  | 'UNREACHABLE'
  /** The replica says that it did nothing with it (`REFUSED_STREAM`). */
  | 'REFUSED'
  /** The connection broke. */
  | 'BROKEN'
  /** Silence within the answer. */
  | 'SILENT'
  /** What came is no HTTP, or contradicts itself. */
  | 'WRONG'

/** Told about a request, in this order; `failed` and `ended` are the last. */
export interface UpstreamListener {
  /** The head of the answer. */
  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void
  /** A piece of it. False = no more until `resume` is called. */
  piece(piece: Buffer): boolean
  ended(trailers: Readonly<Record<string, string>>): void
  failed(kind: FailureKind, why: string): void
}

/** A running request. */
export interface UpstreamCall {
  resume(): void
  /** Ends it; the listener is told nothing more. */
  cancel(): void
}

/** Connections to one replica. */
export interface Upstream {
  send(request: UpstreamRequest, listener: UpstreamListener): UpstreamCall
  /** Idle connections are closed; running requests go on. */
  close(): void
}
