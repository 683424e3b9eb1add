// The container engine's command line.
import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Something that the person at the terminal can mend; the message says how. */
export class ImageError extends Error {
  override readonly name = 'ImageError'
}

function works(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/** The first line that a command prints, or nothing where it fails. */
export function ask(command: string, ...args: readonly string[]): string {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : ''
}

/**
 * A `docker` that builds with BuildKit: one below version 23 has it, a later one has it as the
 * plugin buildx. The path may hold several of them.
 */
export function findBuilder(): string {
  const paths = (process.env.PATH ?? '').split(delimiter).map((path) => join(path, 'docker'))
  const found = paths.filter((path) => existsSync(path) && executable(path))
  if (found.length === 0) {
    throw new ImageError('no docker in the path: install a container engine (Debian: docker.io)')
  }
  if (!found.some((docker) => works(docker, 'version'))) {
    throw new ImageError('docker is here, its engine does not answer: start dockerd')
  }
  const builder = found.find((docker) => {
    const version = ask(docker, 'version', '--format', '{{.Client.Version}}')
    return works(docker, 'buildx', 'version') || Number.parseInt(version, 10) < 23
  })
  if (builder === undefined) {
    throw new ImageError(`${found[0]} cannot build with BuildKit: install its plugin buildx`)
  }
  return builder
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** True when the engine has the image. */
export function hasImage(docker: string, image: string): boolean {
  return works(docker, 'image', 'inspect', image)
}

/** Builds a target of a context; prints only what a failure said. */
export function build(
  docker: string,
  init: {
    readonly context: string
    readonly file: string
    readonly tag: string
    readonly target?: string
    readonly args?: Readonly<Record<string, string>>
    readonly labels?: Readonly<Record<string, string>>
    readonly secrets?: Readonly<Record<string, string>>
  },
): void {
  const { context, file, tag, target, args = {}, labels = {}, secrets = {} } = init
  const pairs = (flag: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`])
  const words = ['build', '--quiet', '--network', 'host', '--file', file, '--tag', tag]
  if (target !== undefined) words.push('--target', target)
  words.push(...pairs('--build-arg', args), ...pairs('--label', labels))
  for (const [id, source] of Object.entries(secrets)) {
    words.push('--secret', `id=${id},src=${source}`)
  }
  const env = { ...process.env, DOCKER_BUILDKIT: '1' }
  const done = spawnSync(docker, [...words, context], { encoding: 'utf8', env })
  if (done.status === 0) return
  throw new ImageError(`${tag} could not be built:\n${done.stderr}${done.stdout}`)
}

/** Runs a command with its output passed on to standard error. Throws {@link ImageError}. */
export function must(command: string, args: readonly string[], mend: string): void {
  try {
    execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  } catch {
    throw new ImageError(`${command} failed: ${mend}`)
  }
}
