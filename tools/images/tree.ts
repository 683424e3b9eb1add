// What goes into the images: the compiled packages and their production dependencies, nothing else.
// `node tools/images/tree.ts DIR` writes DIR/control-plane, DIR/agent and DIR/bin/node.
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { ROOT, toolEnv } from '../lib/paths.ts'

/** Programs of each image. */
const IMAGES = {
  'control-plane': [
    '@serverless-ai/all-in-one',
    '@serverless-ai/sai',
    '@serverless-ai/digits-workload',
    '@serverless-ai/digits-server-workload',
  ],
  agent: ['@serverless-ai/node-agent'],
} as const

type Package = {
  readonly name: string
  readonly path: string
  readonly manifest: {
    readonly files?: readonly string[]
    readonly dependencies?: Readonly<Record<string, string>>
  }
}

/** Files of packages that nothing reads at run time. */
const USELESS = /\.(d\.[mc]?ts|[mc]?ts|map|tsbuildinfo|md|markdown|flow)$|\.spec\.[mc]?js$/
const NEEDED = /^(licen[cs]e|notice|copying)/i
const USELESS_DIRECTORIES = new Set(['@types', '.bin', 'bundles', 'esm5', 'test', 'tests', 'docs'])

const skipped = (path: string): boolean =>
  (USELESS.test(path) && !NEEDED.test(basename(path))) ||
  (/node_modules/.test(path) && USELESS_DIRECTORIES.has(basename(path)))

function workspace(): ReadonlyMap<string, Package> {
  const manifests = globSync('{libs,services,apps,examples,examples/workloads}/*/package.json', {
    cwd: ROOT,
  })
  return new Map(
    manifests.map((path) => {
      const manifest = JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
      return [manifest.name, { name: manifest.name, path: dirname(path), manifest }]
    }),
  )
}

/** The packages and all workspace packages that they need to run. */
function closure(names: readonly string[]): readonly Package[] {
  const all = workspace()
  const found = new Map<string, Package>()
  const take = (name: string): void => {
    const one = all.get(name)
    if (one === undefined || found.has(name)) return
    found.set(name, one)
    for (const dependency of Object.keys(one.manifest.dependencies ?? {})) take(dependency)
  }
  for (const name of names) take(name)
  return [...found.values()]
}

/** Every manifest of the workspace: the lock file is about all of them. */
function copyManifests(to: string): void {
  const every = globSync(
    '{.,{libs,services,apps,examples,examples/workloads}/*,tests}/package.json',
    {
      cwd: ROOT,
    },
  )
  const lock = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', ...globSync('patches/*', { cwd: ROOT })]
  for (const path of [...every, ...lock]) {
    mkdirSync(join(to, dirname(path)), { recursive: true })
    copyFileSync(join(ROOT, path), join(to, path))
  }
}

function copyPackage({ name, path, manifest }: Package, to: string): void {
  const entries = (manifest.files ?? ['dist']).filter((entry) => !entry.startsWith('!'))
  for (const entry of entries) {
    const source = join(ROOT, path, entry)
    if (!existsSync(source)) throw new Error(`${name} has no ${entry}: compile it first`)
    cpSync(source, join(to, path, entry), { recursive: true, filter: (file) => !skipped(file) })
  }
}

/** Removes what nothing reads, and what pnpm notes about this machine. */
function prune(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    const note = /^\.(modules\.yaml|pnpm-workspace-state.*|package-map.*)$/.test(entry.name)
    if (note || (!entry.isSymbolicLink() && skipped(path))) {
      rmSync(path, { recursive: true })
    } else if (entry.isDirectory()) prune(path)
  }
}

/** Writes the tree of one image to `to`; needs a compiled checkout. */
function writeTree(names: readonly string[], to: string): void {
  rmSync(to, { recursive: true, force: true })
  copyManifests(to)
  const filters = names.flatMap((name) => ['--filter', `${name}...`])
  const how = ['--frozen-lockfile', '--prefer-offline', '--trust-lockfile', '--ignore-scripts']
  const args = ['install', '--prod', '--reporter=silent', ...how, ...filters]
  const env = toolEnv()
  // Where the bootstrap puts it.
  const path = [join(ROOT, '.tools/node_modules/.bin'), env.PATH].join(delimiter)
  const stdio = ['ignore', 'inherit', 'inherit'] as const
  execFileSync('pnpm', args, { cwd: to, env: { ...env, PATH: path }, stdio: [...stdio] })
  prune(join(to, 'node_modules'))
  const packages = closure(names)
  const kept = new Set(packages.map(({ path }) => path))
  for (const { path } of workspace().values()) {
    if (!kept.has(path)) rmSync(join(to, path), { recursive: true, force: true })
  }
  for (const path of ['tests', 'patches', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    rmSync(join(to, path), { recursive: true, force: true })
  }
  const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const root = { name, version, private: true, type: 'module' }
  writeFileSync(join(to, 'package.json'), `${JSON.stringify(root)}\n`)
  for (const one of packages) copyPackage(one, to)
}

/** Writes the trees of all images and the Node that runs this. */
export function writeProduct(to: string): void {
  for (const [image, names] of Object.entries(IMAGES)) writeTree(names, join(to, image))
  mkdirSync(join(to, 'bin'), { recursive: true })
  copyFileSync(process.execPath, join(to, 'bin/node'))
}

if (import.meta.main) {
  const [to] = process.argv.slice(2)
  if (to === undefined) throw new Error('usage: node tools/images/tree.ts DIR')
  writeProduct(to)
}
