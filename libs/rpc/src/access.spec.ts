import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { readDescriptorSet } from '@serverless-ai/contracts'
import { describe, expect, it } from 'vitest'
import { ACCESS } from './access.ts'
import { admit, bearerToken, staticTokens } from './auth.ts'

const methods = fromBinary(FileDescriptorSetSchema, readDescriptorSet()).file.flatMap((file) =>
  file.service.flatMap((service) =>
    service.method.map((method) => `/${file.package}.${service.name}/${method.name}`),
  ),
)

describe('access', () => {
  it('has one row per method of the contracts, and no other', () => {
    expect(Object.keys(ACCESS).sort()).toEqual(methods.sort())
  })

  it('lets nobody in by an empty row, an unknown path or an unknown token', () => {
    const admin = { subject: 'token:root', tenant: '', roles: ['admin'] }
    const authenticate = staticTokens([{ token: 't', principal: admin }])
    const metadata = new Map([['authorization', 'Bearer t']])
    const rules = { access: { '/a/None': [] }, authenticate }
    expect(() => admit('/a/None', metadata, rules)).toThrow('PERMISSION_DENIED')
    expect(() => admit('/a/Unknown', metadata, rules)).toThrow('PERMISSION_DENIED')
    const other = new Map([['authorization', 'Bearer u']])
    expect(() => admit('/a/None', other, rules)).toThrow('UNAUTHENTICATED')
    expect(authenticate('')).toBeUndefined()
  })

  it('reads bearer tokens only', () => {
    expect(bearerToken(new Map([['authorization', 'Bearer abc']]))).toBe('abc')
    expect(bearerToken(new Map([['authorization', 'bearer  abc']]))).toBe('abc')
    expect(bearerToken(new Map([['authorization', 'Basic abc']]))).toBeUndefined()
    expect(bearerToken(new Map())).toBeUndefined()
  })
})
