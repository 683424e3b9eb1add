import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { list } from 'tar'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Archive, packDirectory } from './archive.ts'
import { ignoreRules } from './ignore.ts'

describe('.saiignore', () => {
  test.each([
    ['', '.git', true, true],
    ['', 'a/node_modules', true, true],
    ['', 'src/train.py', false, false],
    ['!node_modules', 'node_modules', true, false],
    ['*.ckpt', 'out/step-1.ckpt', false, true],
    ['*.ckpt\n!best.ckpt', 'best.ckpt', false, false],
    ['/data', 'data', true, true],
    ['/data', 'src/data', true, false],
    ['data/raw', 'data/raw', true, true],
    ['data/raw', 'x/data/raw', true, false],
    ['logs/', 'logs', false, false],
    ['logs/', 'logs', true, true],
    ['a/**/z', 'a/b/c/z', false, true],
    ['a/**/z', 'a/z', false, true],
    ['a?c', 'abc', false, true],
    ['a?c', 'a/c', false, false],
    ['# comment\n\n', '# comment', false, false],
    ['a.b', 'axb', false, false],
  ])('%j: %s (directory %s) is left out: %s', (rules, path, isDirectory, expected) => {
    expect(ignoreRules(rules)(path, isDirectory)).toBe(expected)
  })
})

describe('a packed directory', () => {
  let root = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sai-archive-'))
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  test('that is not there, or is a file, is refused by its name', async () => {
    await writeFile(join(root, 'file'), '')
    for (const name of ['absent', 'file']) {
      const packed = packDirectory(join(root, name))
      await expect(packed).rejects.toMatchObject({ reason: 'WORKSPACE_NOT_FOUND', exit: 2 })
      await expect(packed).rejects.toThrow(join(root, name))
    }
  })

  async function write(path: string, content = path): Promise<void> {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }

  async function packed(): Promise<Archive> {
    const archive = await packDirectory(root)
    if (archive === undefined) throw new Error('nothing was packed')
    return archive
  }

  async function entries({ data }: Archive): Promise<string[]> {
    const names: string[] = []
    const parser = list({ onReadEntry: ({ path }) => names.push(path) })
    const ended = new Promise((resolve) => parser.on('end', resolve))
    parser.end(Buffer.from(data))
    await ended
    return names.sort()
  }

  test('is none when nothing is left', async () => {
    await write('node_modules/x/y')
    expect(await packDirectory(root)).toBeUndefined()
  })

  test('holds what is not left out', async () => {
    for (const path of ['train.py', 'lib/model.py', '.git/HEAD', 'node_modules/x/y', 'big.bin']) {
      await write(path)
    }
    await write('.saiignore', '*.bin\n')
    const archive = await packed()
    expect(await entries(archive)).toEqual(['.saiignore', 'lib/', 'lib/model.py', 'train.py'])
    expect(archive.files).toBe(3)
  })

  test('is the same for the same files', async () => {
    await write('a')
    await write('b/c')
    const [one, two] = [await packed(), await packed()]
    expect(Buffer.from(one.data).equals(Buffer.from(two.data))).toBe(true)
  })

  test('leaves out links that lead out of it, and says so', async () => {
    await write('here')
    await symlink('here', join(root, 'inside'))
    await symlink('/etc/passwd', join(root, 'outside'))
    const archive = await packed()
    expect(await entries(archive)).toEqual(['here', 'inside'])
    expect(archive.notes).toEqual(['outside is left out: the link leads out of the directory'])
  })

  test('above 100 MiB it is refused, naming what is big', async () => {
    await write('weights/a.bin')
    await truncate(join(root, 'weights/a.bin'), 90 * 1024 * 1024)
    await write('data.csv')
    await truncate(join(root, 'data.csv'), 20 * 1024 * 1024)
    await write('train.py')
    const refused = packDirectory(root)
    await expect(refused).rejects.toThrow(/90 MiB {2}weights\n\s+20 MiB {2}data\.csv\n/)
    await expect(refused).rejects.toMatchObject({ reason: 'WORKSPACE_TOO_LARGE', exit: 2 })
  })
})
