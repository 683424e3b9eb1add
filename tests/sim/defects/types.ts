/** Words of the seeded defects. */

/** A replacement in one compiled module of the product. */
export interface Patch {
  /** Path from the top of the checkout, for example `libs/runtime/dist/leader.js`. */
  readonly module: string
  /** Text that occurs in it exactly once. */
  readonly find: string
  /** What stands there instead. */
  readonly put: string
}

/** A mistake of another system that this one resembles. */
export interface Source {
  /** Where it was told: an issue or a change of a public repository. */
  readonly link: string
  /** What happened there. */
  readonly what: string
}

/** One protection of the product taken out, as somebody might have forgotten it. */
export interface Defect {
  readonly name: string
  /** The mistake, and what it breaks. */
  readonly about: string
  /** Absent = nobody is known to have made it in public. */
  readonly source?: Source
  readonly patches: readonly Patch[]
  /** Scenarios of the simulator in which it shows, the likeliest first. */
  readonly scenarios: readonly string[]
  /** Checkers that may find it. An alarm of any other one is a surprise, and is reported as one. */
  readonly expect: readonly string[]
  /** Found within seconds, nearly always: the small campaign of each change may take it. */
  readonly quick?: true
}
