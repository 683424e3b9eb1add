import { delimiter, dirname, join } from 'node:path'

/** Root of the repository. */
export const ROOT: string = dirname(dirname(import.meta.dirname))

/** Environment for child processes: the tools of the checkout first in the path. */
export function toolEnv(): NodeJS.ProcessEnv {
  const bins = [join(ROOT, 'node_modules', '.bin'), dirname(process.execPath)]
  return { ...process.env, PATH: [...bins, process.env.PATH].join(delimiter) }
}
