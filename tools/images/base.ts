// The base image without a registry: a minimal Debian, made by debootstrap from the package sources
// of this machine. What is costly to make is kept in the user's cache.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { ask, hasImage, ImageError, must } from './engine.ts'

const BASE_TAG = 'serverless-ai/base:local'
const PACKAGES = ['ca-certificates', 'tini']

/** Files of packages that no process reads. */
const USELESS = [
  'usr/share/doc',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/man',
  'var/cache/apt',
  'var/cache/debconf',
  'var/lib/apt/lists',
  'var/log',
]

/** Folder of the user's cache for all of this product. */
export function cacheDirectory(): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const directory = join(cache, 'serverless-ai')
  mkdirSync(join(directory, 'images'), { recursive: true })
  return directory
}

/**
 * An image that is made once: by `make`, or from the file that an earlier one was saved to. `key`
 * is all that it depends on.
 */
export function provideImage(
  docker: string,
  { tag, key }: { readonly tag: string; readonly key: unknown },
  make: () => void,
): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([tag, key]))
    .digest('hex')
    .slice(0, 16)
  const label = '{{index .Config.Labels "ai.serverless.key"}}'
  if (hasImage(docker, tag) && ask(docker, 'inspect', '--format', label, tag) === hash) return tag
  const file = join(cacheDirectory(), 'images', `${hash}.tar`)
  if (existsSync(file)) {
    must(docker, ['load', '--input', file], `remove ${file}`)
    return tag
  }
  make()
  const half = `${file}.${process.pid}`
  try {
    relabel(docker, tag, hash)
    must(docker, ['save', '--output', half, tag], 'is the disk full?')
    renameSync(half, file)
  } finally {
    rmSync(half, { force: true })
  }
  return tag
}

/** The same image with the label that says what it was made from. */
function relabel(docker: string, tag: string, hash: string): void {
  const input = `FROM ${tag}\nLABEL ai.serverless.key=${hash}\n`
  const env = { ...process.env, DOCKER_BUILDKIT: '1' }
  const done = spawnSync(docker, ['build', '--quiet', '--tag', tag, '-'], { input, env })
  if (done.status !== 0) throw new ImageError(`${tag} could not be labelled: ${done.stderr}`)
}

/** Release of Debian that this machine runs, and where it gets its packages. */
function packageSource(): { readonly release: string; readonly mirror: string } {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  const format = '$(RELEASE) $(COMPONENT) $(REPO_URI)'
  const targets = ask('apt-get', 'indextargets', '--format', format).split('\n')
  const mirror = targets.find((line) => line.startsWith(`${release} main `))?.split(' ')[2]
  if (release !== undefined && mirror !== undefined) return { release, mirror }
  throw new ImageError(
    'a base without a registry needs a Debian machine with its package sources; ' +
      'elsewhere name one that exists with --base IMAGE',
  )
}

/** A minimal Debian as an image. */
function bootstrap(docker: string): void {
  const { release, mirror } = packageSource()
  if (ask('debootstrap', '--version') === '') {
    throw new ImageError('debootstrap is missing: apt-get install debootstrap')
  }
  const root = mkdtempSync(join(tmpdir(), 'sai-base-'))
  const tar = `${root}.tar`
  try {
    const options = ['--variant=minbase', `--include=${PACKAGES.join(',')}`]
    const mend = 'it must run as root, and the package sources must be reachable'
    must('debootstrap', [...options, release, root, mirror], mend)
    for (const path of USELESS) {
      rmSync(join(root, path), { recursive: true, force: true })
      mkdirSync(join(root, path), { recursive: true })
    }
    must('tar', ['-C', root, '--numeric-owner', '-cf', tar, '.'], 'is the disk full?')
    const path = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    must(docker, ['import', '--change', path, tar, BASE_TAG], 'the engine did not take it')
  } finally {
    rmSync(root, { recursive: true, force: true })
    rmSync(tar, { force: true })
  }
}

/** The tag of a minimal Debian; made where the engine does not have it. */
export function provideBase(docker: string): string {
  return provideImage(docker, { tag: BASE_TAG, key: [PACKAGES, USELESS] }, () => bootstrap(docker))
}
