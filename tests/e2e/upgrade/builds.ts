// Two builds to upgrade between: this one, and a copy that is patched into its successor.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { ServiceName } from '@serverless-ai/hosting'
import { FEATURE_LEVEL } from '@serverless-ai/runtime'
import { ROOT } from '../../support/root.ts'

/** Level that the next build knows, and its one new event. */
export const NEXT_LEVEL = FEATURE_LEVEL + 1
export const NEW_EVENT = 'JobNoted'

/** A build in a directory of its own. */
export interface Build {
  readonly name: 'this' | 'next'
  readonly directory: string
  readonly mainOf: (service: ServiceName) => string
}

const GROUPS = ['libs', 'services'] as const
/** What runs of a package; the descriptors are read where they were generated. */
const PARTS = ['package.json', 'dist', 'node_modules', 'src/gen/descriptors.binpb'] as const
const isNeeded = (path: string): boolean => !/\.(spec\.|tsbuildinfo|map$|d\.ts$)/.test(path)

/** Copies what runs of this build: the packages' outputs and their links to each other. */
export function copyBuild(name: Build['name'], directory: string): Build {
  for (const group of GROUPS) {
    for (const one of readdirSync(join(ROOT, group))) {
      const [from, to] = [join(ROOT, group, one), join(directory, group, one)]
      mkdirSync(to, { recursive: true })
      for (const part of PARTS) {
        if (!existsSync(join(from, part))) continue
        const options = { recursive: true, verbatimSymlinks: true, filter: isNeeded }
        cpSync(join(from, part), join(to, part), options)
      }
    }
  }
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  return {
    name,
    directory,
    mainOf: (service) => join(directory, 'services', service, 'dist/main.js'),
  }
}

interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

const SUBMITTED = "[{ type: 'JobSubmitted', jobId, tenant, submittedBy, requestId, spec }]"

const LEVELS = 'Object.fromEntries(SCALING_EVENTS.map((type) => [type, SCALING_LEVEL]))'

/** What a release does that adds an event: a level, the event's level, deciding, evolving. */
const PATCHES: readonly Patch[] = [
  {
    file: 'libs/runtime/dist/levels.js',
    find: `export const FEATURE_LEVEL = ${FEATURE_LEVEL};`,
    replace: `export const FEATURE_LEVEL = ${NEXT_LEVEL};`,
  },
  {
    file: 'services/mediator/dist/app/definition.js',
    find: `eventLevels: ${LEVELS},`,
    replace: `eventLevels: { ...${LEVELS}, ${NEW_EVENT}: ${NEXT_LEVEL} },`,
  },
  {
    file: 'services/mediator/dist/core/decide.js',
    find: `return accept(${SUBMITTED}, {`,
    replace:
      `const noted = (context.featureLevel ?? 1) >= ${NEXT_LEVEL}` +
      ` ? [{ type: '${NEW_EVENT}', jobId, note: 'next' }] : [];\n` +
      `    return accept([...${SUBMITTED}, ...noted], {`,
  },
  {
    file: 'services/mediator/dist/core/evolve.js',
    find: 'switch (event.type) {',
    replace:
      `switch (event.type) {\n        case '${NEW_EVENT}':\n` +
      "            tell(known(state, event.jobId), atMs, 'NOTED', { note: event.note });\n" +
      '            return state;',
  },
]

/** Makes a copy the next build. Throws when a patch does not fit exactly once. */
export function patchBuild(build: Build): void {
  for (const { file, find, replace } of PATCHES) {
    const path = join(build.directory, file)
    const text = readFileSync(path, 'utf8')
    const times = text.split(find).length - 1
    if (times !== 1) throw new Error(`${file} has ${times} times what is to be patched: ${find}`)
    writeFileSync(
      path,
      text.replace(find, () => replace),
    )
  }
}
