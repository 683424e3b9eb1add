import { describe, expect, it } from 'vitest'
import { sha256 } from './record.ts'
import { VoidList } from './voids.ts'

const bytes = Buffer.from('a record')
const recordHash = Buffer.from(sha256(bytes))

describe('VoidList', () => {
  it('skips the record it names, and only with the same bytes', () => {
    const list = new VoidList()
    expect(list.empty).toBe(true)
    expect(list.add({ position: 7n, recordHash })).toBe(true)
    expect(list.skips(7, bytes)).toBe(true)
    expect(list.skips(7, Buffer.from('another'))).toBe(false)
    expect(list.skips(8, bytes)).toBe(false)
  })

  it('takes the same void once', () => {
    const list = new VoidList()
    list.add({ position: 7n, recordHash })
    expect(list.add({ position: 7n, recordHash })).toBe(false)
    expect(list.toJson()).toHaveLength(1)
  })

  it('comes back the same from JSON, in order', () => {
    const list = new VoidList()
    list.add({ position: 9n, recordHash })
    list.add({ position: 7n, recordHash })
    const json = list.toJson()
    expect(json.map((each) => each.position)).toEqual([7, 9])
    expect(VoidList.fromJson(json).toJson()).toEqual(json)
    expect(VoidList.fromJson(json).skips(9, bytes)).toBe(true)
  })
})
