import { describe, expect, it } from 'vitest'
import { mountType, networkFileSystem } from './directory.ts'

const never = (): string => {
  throw new Error('asked without need')
}

describe('networkFileSystem', () => {
  it.each([
    ['NFS', 0x6969],
    ['CIFS', 0xff534d42],
    ['CIFS', 0xff534d42 | 0],
    ['SMB2', 0xfe534d42],
    ['Lustre', 0x0bd00bd0],
  ])('knows %s', (name, magic) => {
    expect(networkFileSystem(magic, never)).toBe(name)
  })

  it.each([
    ['ext4', 0xef53],
    ['xfs', 0x58465342],
    ['btrfs', 0x9123683e],
    ['tmpfs', 0x01021994],
    ['overlayfs', 0x794c7630],
    ['zfs', 0x2fc12fc1],
  ])('lets %s be', (_name, magic) => {
    expect(networkFileSystem(magic, never)).toBeUndefined()
  })

  it('asks what FUSE stands for', () => {
    expect(networkFileSystem(0x65735546, () => 'fuse.sshfs')).toBe('FUSE (fuse.sshfs)')
    expect(networkFileSystem(0x65735546, () => 'fuse.fuse-overlayfs')).toBeUndefined()
    expect(networkFileSystem(0x65735546, () => '')).toBe('FUSE (unknown)')
  })
})

describe('mountType', () => {
  const mountinfo = [
    '22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw',
    '23 22 0:21 / /mnt/data rw - fuse.sshfs user@host:/ rw',
    '24 22 0:22 / /mnt/data/local rw,x shared:2 - ext4 /dev/sdb rw',
    '25 22 0:23 / /mnt/with\\040blank rw - nfs4 host:/x rw',
  ].join('\n')

  it.each([
    ['/home/user', 'overlay'],
    ['/mnt/data', 'fuse.sshfs'],
    ['/mnt/data/x', 'fuse.sshfs'],
    ['/mnt/database', 'overlay'],
    ['/mnt/data/local/log', 'ext4'],
    ['/mnt/with blank/log', 'nfs4'],
  ])('of %s is %s', (directory, type) => {
    expect(mountType(mountinfo, directory)).toBe(type)
  })
})
