/** Private events and facts of the runtime as JSON: parsed when somebody asks, never trusted. */

/** A JSON object with typed access; what is missing reads as empty, 0 or false. */
export class JsonSeen {
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(value: unknown) {
    this.#fields = typeof value === 'object' && value !== null ? { ...value } : {}
  }

  static parse(text: string): JsonSeen {
    return new JsonSeen(JSON.parse(text))
  }

  text(name: string): string {
    const value = this.#fields[name]
    return typeof value === 'string' ? value : ''
  }

  number(name: string): number {
    const value = this.#fields[name]
    return typeof value === 'number' ? value : 0
  }

  flag(name: string): boolean {
    return this.#fields[name] === true
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined
  }

  inner(name: string): JsonSeen {
    return new JsonSeen(this.#fields[name])
  }
}
