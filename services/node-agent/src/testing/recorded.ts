import { readFileSync } from 'node:fs'

/** Recorded output of a tool, or a recorded file of the kernel: `src/testing/recorded`. */
export const recorded = (name: string): string =>
  readFileSync(new URL(`./recorded/${name}`, import.meta.url), 'utf8')
