import { resolve } from 'node:path'
import type { PlatformClient } from '@serverless-ai/client'
import type { Command } from 'commander'
import { type Globals, resolveConnection, withPlatform } from '../context.ts'
import type { Io } from '../io.ts'
import { bytes, count } from '../output/text.ts'
import { packDirectory } from '../workspace/archive.ts'
import { answer, type CommandScope, withGlobals } from './shared.ts'

/** Copies a directory to the platform; its name for descriptions, empty = nothing to copy. */
export async function uploadDirectory(init: {
  platform: PlatformClient
  io: Io
  directory: string
}): Promise<string> {
  const { platform, io, directory } = init
  const archive = await packDirectory(directory)
  if (archive === undefined) {
    io.err(`note: there is nothing to copy in ${directory}: tasks start in an empty directory\n`)
    return ''
  }
  for (const note of archive.notes) io.err(`note: ${note}\n`)
  const what = `${count(archive.files, 'file')}, ${bytes(archive.totalBytes)}`
  io.err(`── copying ${directory} (${what})\n`)
  return platform.uploadWorkspace(archive.data)
}

/** `sai workspace …` */
export function addWorkspace(program: Command, { io, checkout }: CommandScope): void {
  const workspaces = program.command('workspace').description('directories that jobs start in')
  withGlobals(workspaces.command('upload'))
    .description('copy a directory; prints the name for spec.workspace of a description')
    .argument('[directory]', 'directory, without what .saiignore leaves out', '.')
    .action(async (directory: string, options: Globals) => {
      const connection = resolveConnection({ globals: options, io, checkout })
      const workspace = await withPlatform(io, connection, (platform) =>
        uploadDirectory({ platform, io, directory: resolve(io.cwd, directory) }),
      )
      answer(io, options, { json: { workspace }, text: () => `${workspace}\n` })
    })
}
