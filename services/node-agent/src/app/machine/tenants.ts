import { dirname } from 'node:path'
import type { Timers } from '@serverless-ai/kernel'
import { isRecord, readJson, writeJson } from '../../adapters/os/files.ts'
import { lockDirectory } from '../../adapters/os/lock.ts'
import type { NodeConfig } from '../../core/config.ts'
import { uidFor } from '../../core/uids.ts'

function readMap(path: string): Record<string, number> {
  const value = readJson(path)
  const map: Record<string, number> = {}
  if (!isRecord(value)) return map
  for (const [tenant, uid] of Object.entries(value)) if (typeof uid === 'number') map[tenant] = uid
  return map
}

/**
 * The uid of a tenant, recorded in the file that all nodes with the same checkpoints share.
 *
 * @throws Error when the range is used up or the file stays locked for 5 s.
 */
export async function tenantUid(
  timers: Timers,
  config: Pick<NodeConfig, 'uidFile' | 'uidBase' | 'uidSize'>,
  tenant: string,
): Promise<number> {
  const { uidFile: file, uidBase: base, uidSize: size } = config
  const known = readMap(file)[tenant]
  if (known !== undefined) return known
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const lock = await lockDirectory(dirname(file), 'tenant-uids')
    if (lock === undefined) {
      await timers.sleep(10)
      continue
    }
    try {
      const map = readMap(file)
      const uid = uidFor(map, tenant, { base, size })
      if (uid === undefined) throw new Error(`all ${size} tenant uids are in use`)
      if (map[tenant] === undefined) writeJson(file, { ...map, [tenant]: uid })
      return uid
    } finally {
      await lock.release()
    }
  }
  throw new Error(`${file} stayed locked`)
}
