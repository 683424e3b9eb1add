/** An event of a stream of server-sent events. */
export interface ServerEvent {
  /** `message` where the stream does not say. */
  readonly name: string
  /** Position: give it as `Last-Event-ID` to go on behind this event. Empty = none. */
  readonly id: string
  readonly data: string
}

/** Reads server-sent events off the body of an answer. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true })
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const event = { name: 'message', id: '', data: '' }
      for (const line of rest.slice(0, end).split('\n')) {
        const [, field, value] = /^(event|id|data): ?(.*)$/.exec(line) ?? []
        if (field === 'event') event.name = value ?? ''
        if (field === 'id') event.id = value ?? ''
        if (field === 'data') event.data += value ?? ''
      }
      rest = rest.slice(end + 2)
      if (event.data !== '') yield event
    }
  }
}
