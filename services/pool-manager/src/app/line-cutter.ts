/** A line longer than this is passed on in pieces, bytes. */
const LINE_MAX_BYTES = 65_536
const NEWLINE = 10

/** Cuts a byte stream into pieces of whole lines. */
export class LineCutter {
  #rest: Uint8Array = new Uint8Array(0)

  /** What can be passed on now: whole lines, or a piece of a very long one; may be empty. */
  add(data: Uint8Array): Uint8Array {
    const all = this.#rest.byteLength === 0 ? data : Buffer.concat([this.#rest, data])
    const lastNewline = all.lastIndexOf(NEWLINE)
    const end =
      lastNewline < 0 && all.byteLength > LINE_MAX_BYTES ? all.byteLength : lastNewline + 1
    this.#rest = all.slice(end)
    return all.subarray(0, end)
  }

  /** The last line without its end. */
  flush(): Uint8Array {
    const rest = this.#rest
    this.#rest = new Uint8Array(0)
    return rest
  }
}
