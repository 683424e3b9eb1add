// Brings the pinned Node and pnpm plus the locked dependencies into the checkout, then runs a task.
// Runs on Node >= 20 with npm alone and touches nothing outside the checkout but npm's and pnpm's
// caches. Usage: node tools/bootstrap.mjs TASK [ARGS]; without a task it only prepares.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const tools = join(root, '.tools')
const binDir = join(root, 'node_modules', '.bin')
const pin = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).toolchain
const own = Number(process.versions.node.split('.')[0]) >= 24
const win = process.platform === 'win32'
const platformNode = `node-${win ? 'win' : process.platform}-${process.arch}`

/** npm hands its own configuration to children; pnpm and the product must not see it. */
function cleanEnv() {
  const keep =
    /^npm_config_(registry|cafile|userconfig|globalconfig|cache|proxy|https_proxy|noproxy)$/
  const drop = /^npm_(config|lifecycle|package|command|execpath|node_execpath)/
  const env = {}
  for (const [key, value] of Object.entries(process.env)) {
    if (!drop.test(key) || keep.test(key.toLowerCase())) env[key] = value
  }
  return env
}

const env = cleanEnv()
const nodeBin = own ? process.execPath : join(tools, 'node_modules', platformNode, 'bin', 'node')
env.PATH = [dirname(nodeBin), binDir, join(tools, 'node_modules', '.bin'), env.PATH].join(delimiter)

/** Runs a command to its end and returns its exit status (128 + n after signal n). */
function run(cmd, args, options = {}) {
  const done = spawnSync(cmd, args, { stdio: 'inherit', cwd: root, env, shell: win, ...options })
  if (done.error) console.error(`cannot run ${cmd}: ${done.error.message}`)
  if (done.signal) return 128 + (constants.signals[done.signal] ?? 0)
  return done.status ?? 1
}

function fail(message) {
  console.error(message)
  process.exit(1)
}

function installTools() {
  const needed = [`pnpm@${pin.pnpm}`, ...(own ? [] : [`${platformNode}@${pin.node}`])]
  const stamp = join(tools, 'stamp')
  const present = existsSync(stamp) ? readFileSync(stamp, 'utf8').split(' ') : []
  if (needed.every((name) => present.includes(name))) return
  // A Node that an older one brought stays: a start with another Node must not take it away.
  const kept = present.filter((name) => name === `${platformNode}@${pin.node}`)
  const wanted = [...new Set([...needed, ...kept])]
  if (!own && (process.platform === 'darwin' || win)) {
    fail(`This platform needs its own Node >= 24 (found ${process.versions.node}): see nodejs.org.`)
  }
  console.error(`bootstrap: installing ${wanted.join(' and ')} into .tools`)
  mkdirSync(tools, { recursive: true })
  writeFileSync(join(tools, 'package.json'), '{"private":true}\n')
  const quiet = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund']
  const install = (extra, stdio) =>
    run('npm', ['install', '--prefix', tools, ...quiet, '--loglevel=error', extra, ...wanted], {
      cwd: tools,
      stdio,
      env: { ...env, PATH: process.env.PATH },
    })
  // The cache first: without a network npm retries for minutes before it looks there.
  const quietly = ['ignore', 'ignore', 'inherit']
  if (install('--offline', 'ignore') !== 0 && install('--fetch-retries=2', quietly) !== 0) {
    fail('bootstrap: npm could not install the tool-chain; is the registry reachable?')
  }
  writeFileSync(stamp, wanted.join(' '))
}

function installDependencies() {
  const hash = createHash('sha256')
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    hash.update(readFileSync(join(root, file)))
  }
  const wanted = hash.digest('hex')
  const stamp = join(root, 'node_modules', '.bootstrap')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return
  console.error('bootstrap: installing dependencies')
  // The release-age check of locked versions needs the network; CI does it, a start does not.
  const trust = env.CI ? [] : ['--trust-lockfile']
  const args = ['install', '--frozen-lockfile', '--prefer-offline', '--reporter=silent', ...trust]
  if (run('pnpm', args) !== 0) fail('bootstrap: pnpm could not install the dependencies')
  writeFileSync(stamp, wanted)
}

/**
 * Runs a process, hands it each signal once, and ends as it ended. The product gets signals alone
 * (it ends its own children in order); the tools' whole process group gets them.
 */
function runForeground(cmd, args, whom = 'group') {
  // A session of its own: a terminal's Ctrl-C reaches this process, npm's copy of it and the child
  // otherwise separately, and the product takes a second signal for impatience.
  const child = spawn(cmd, args, { stdio: 'inherit', cwd: process.cwd(), env, detached: !win })
  const last = new Map()
  const hand = (signal) => {
    const now = Date.now()
    if (child.exitCode !== null || now - (last.get(signal) ?? 0) < 500) return
    last.set(signal, now)
    if (whom === 'group' && !win) process.kill(-child.pid, signal)
    else child.kill(signal)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => hand(signal))
  // A shell between npm and this process takes a signal with it to its grave.
  const parent = process.ppid
  if (process.env.npm_lifecycle_event) {
    const watch = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(watch)
      hand('SIGTERM')
    }, 500).unref()
  }
  child.on('error', (error) => fail(`cannot run ${cmd}: ${error.message}`))
  child.on('exit', (code, signal) => {
    process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1))
  })
}

/**
 * `tsc -b` of everything or of some projects and what they need; incremental, so well below a
 * second when nothing changed. The first one takes long enough to be announced.
 */
function build(...projects) {
  const first = !existsSync(join(root, 'apps/all-in-one/dist/main.js'))
  if (first) console.error('bootstrap: compiling (only the first time takes long)')
  const status = run(join(binDir, 'tsc'), ['-b', ...projects])
  if (status !== 0) process.exit(status)
}

function built(path, ...projects) {
  build(...projects)
  const main = join(root, path)
  if (!existsSync(main)) fail(`${path} does not exist after the build`)
  return main
}

/** What a start needs: the product and what its first steps name, without tests and tools. */
const PRODUCT = ['apps/all-in-one', 'apps/cli', 'examples/grpc-client']

/** `npm start --port 7080` without `--`: npm takes the option for one of its own, silently. */
function refuseEatenOptions() {
  const options = [
    ...['data', 'port', 'nodes', 'devices-per-node', 'lease-ms', 'quickstart'],
    ...['kafka', 'replicas'],
  ]
  const eaten = options.find(
    (name) => process.env[`npm_config_${name.replaceAll('-', '_')}`] !== undefined,
  )
  if (eaten === undefined) return
  fail(`npm took --${eaten} for itself: options of the platform stand behind --, npm start -- …`)
}

const tasks = {
  start: (args) => {
    refuseEatenOptions()
    runForeground(nodeBin, [built('apps/all-in-one/dist/main.js', ...PRODUCT), ...args], 'leader')
  },
  sai: (args) =>
    runForeground(nodeBin, [built('apps/cli/dist/main.js', 'apps/cli'), ...args], 'leader'),
  bench: (args) => runForeground(nodeBin, [built('tests/dist/load/bench.js'), ...args]),
  sim: (args) => runForeground(nodeBin, [built('tests/dist/sim/main.js'), ...args]),
  campaign: (args) => runForeground(nodeBin, [built('tests/dist/load/campaign.js'), ...args]),
  test: (args) => runForeground(nodeBin, [join(root, 'tools/verify.ts'), ...args]),
  'ci:slices': (args) => runForeground(nodeBin, [join(root, 'tools/ci-slices.ts'), ...args]),
  gen: (args) => runForeground(nodeBin, [join(root, 'tools/gen.ts'), ...args]),
  tidy: (args) => runForeground(nodeBin, [join(root, 'tools/tidy.ts'), ...args]),
  format: (args) => runForeground(nodeBin, [join(root, 'tools/format.ts'), ...args]),
  build: (projects) => build(...projects),
  exec: ([cmd = 'node', ...args]) => runForeground(cmd, args),
}

const [name, ...args] = process.argv.slice(2)
if (name !== undefined && !Object.hasOwn(tasks, name)) {
  fail(`unknown task ${name}; one of: ${Object.keys(tasks).join(', ')}`)
}
installTools()
installDependencies()
if (name !== undefined) tasks[name](args)
