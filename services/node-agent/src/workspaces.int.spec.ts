import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RawEntry, rawArchive, workspaceName } from './testing/archives.ts'
import { assignment, buildPackage, script } from './testing/harness.ts'
import { CAUSE, TestNode } from './testing/harness-node.ts'

let node: TestNode

beforeAll(buildPackage)
beforeEach(async () => {
  node = await TestNode.create()
})
afterEach(() => node.dispose())

function put(entries: readonly RawEntry[]): string {
  const archive = rawArchive(entries)
  const name = workspaceName(archive)
  node.pool.workspaces.set(name, archive)
  return name
}

it('is unpacked into the working directory as the task user', async () => {
  await node.start()
  const workspace = put([
    { path: 'main.js', text: 'require("./lib/say.js")' },
    { path: 'lib', flag: '5', mode: 0o755 },
    { path: 'lib/say.js', text: 'console.log(require("node:fs").readFileSync("l", "utf8"))' },
    { path: 'data.txt', text: 'from the workspace' },
    { path: 'l', flag: '2', link: 'data.txt' },
    {
      path: 'run.sh',
      text: '#!/bin/sh\nstat -c %u run.sh; id -u; exec node main.js\n',
      mode: 0o755,
    },
  ])
  node.pool.want([assignment(['./run.sh'], { workspace })])
  expect(await node.exited()).toMatchObject({ cause: CAUSE.EXITED, exitCode: 0 })
  const [owner, uid, text] = (await node.log()).split('\n')
  expect(owner).toBe(uid)
  expect(text).toBe('from the workspace')
})

describe('is refused', () => {
  async function refused(workspace: string, cause: number): Promise<string> {
    await node.start()
    node.pool.want([assignment(script('console.log("ran")'), { workspace })])
    const exit = await node.exited()
    expect(exit.cause).toBe(cause)
    expect(exit.message).toContain(workspace)
    return exit.message
  }

  it('when an entry leads out of it', async () => {
    const wicked = put([{ path: 'ok' }, { path: '../../../escaped', text: 'x' }])
    const message = await refused(wicked, CAUSE.START_FAILED)
    expect(message).toContain('../../../escaped contains ..')
    expect(existsSync(join(node.dataDir, 'work', 'tasks', 'escaped'))).toBe(false)
  })

  it('when a link leads out of it', async () => {
    const entries: RawEntry[] = [
      { path: 'etc', flag: '2', link: '/etc' },
      { path: 'etc/owned', text: 'x' },
    ]
    const message = await refused(put(entries), CAUSE.START_FAILED)
    expect(message).toContain('etc is a link out of the workspace (to /etc)')
  })

  it('when its content is another one', async () => {
    const workspace = workspaceName(Buffer.from('something else'))
    node.pool.workspaces.set(workspace, rawArchive([{ path: 'a' }]))
    const message = await refused(workspace, CAUSE.PREPARE_FAILED)
    expect(message).toContain('its content has the digest sha256:')
  })

  it.each([
    ['no archive', Buffer.from('not a tar'), 'Unrecognized archive format'],
    ['cut off', rawArchive([{ path: 'a', text: 'x'.repeat(5000) }]).subarray(0, 60), 'cannot be'],
    ['too large', rawArchive([{ path: 'a', bytes: 2 ** 31 }]), 'more than 1073741824 bytes'],
    [
      'a contradiction',
      rawArchive([
        { path: 'a', text: 'x' },
        { path: 'b', flag: '2', link: 'a' },
        { path: 'b/c', text: 'x' },
      ]),
      'cannot be unpacked',
    ],
  ])('when it is %s: no node can use it', async (_, archive, why) => {
    const workspace = workspaceName(archive)
    node.pool.workspaces.set(workspace, archive)
    expect(await refused(workspace, CAUSE.START_FAILED)).toContain(why)
  })

  it('when nobody has it', async () => {
    const gone = workspaceName(Buffer.from('gone'))
    expect(await refused(gone, CAUSE.PREPARE_FAILED)).toContain('NOT_FOUND')
  })
})
