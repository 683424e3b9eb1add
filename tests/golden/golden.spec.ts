import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { foldService } from '../support/fold.ts'
import { ROOT } from '../support/root.ts'
import { goldenSource, readManifest, recordedServices } from './golden-log.ts'

const HERE = join(ROOT, 'tests/golden')
const versions = readdirSync(HERE).filter((name) => existsSync(join(HERE, name, 'manifest.json')))

it('there is a recording', () => {
  expect(versions).toContain('0.2.0')
})

describe.each(versions)('the logs of %s', (version) => {
  const directory = join(HERE, version)
  const manifest = readManifest(directory)
  const owners = recordedServices(directory)

  it.each(owners)('%s folds to the digests that were served', async (service) => {
    const { eventLog } = goldenSource(directory, service)
    const { states, records, publicSeq } = manifest.services[service]
    expect(states.length).toBeGreaterThan(2)
    for (const { position, digest } of states) {
      const folded = await foldService(service, { eventLog, through: position })
      expect(folded).toMatchObject({ position, digest, snapshot: '', diverged: '' })
    }
    const whole = await foldService(service, { eventLog })
    expect(whole).toMatchObject({ position: records - 1, publicSeq, diverged: '' })
  })

  it.each(owners)('%s goes on from its snapshot to the same digests', async (service) => {
    const { eventLog, snapshots } = goldenSource(directory, service)
    const { snapshot, states } = manifest.services[service]
    const later = states.filter(({ position }) => position > snapshot.position)
    expect(later.length).toBeGreaterThan(0)
    for (const { position, digest } of later) {
      const folded = await foldService(service, { eventLog, snapshots, through: position })
      expect(folded).toMatchObject({ position, digest, snapshot: snapshot.name })
    }
  })

  it.each(owners)('%s: a single other byte in its log is noticed', async (service) => {
    const { eventLog, records } = goldenSource(directory, service)
    const { position = 0 } = manifest.services[service].states.at(-1) ?? {}
    const damaged = records[Math.floor(records.length / 2)]?.value ?? new Uint8Array()
    const at = Math.floor(damaged.byteLength / 2)
    damaged[at] = (damaged[at] ?? 0) ^ 1
    const folded = foldService(service, { eventLog, through: position })
    await expect(folded).rejects.toThrow(/follows another record|no record|cannot be folded/)
  })
})
