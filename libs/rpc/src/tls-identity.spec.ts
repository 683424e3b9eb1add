import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACCESS } from './access.ts'
import {
  formatIdentity,
  type IdentityKind,
  identityOf,
  parseIdentity,
  principalOf,
  serverMismatch,
  serverOf,
} from './tls-identity.ts'

const scheduler = { trustDomain: 'cell.test', kind: 'service', name: 'scheduler' } as const
const URI = 'URI:spiffe://cell.test/service/scheduler'

describe('the identity of a certificate', () => {
  it('survives its own form', () => {
    const identity = fc.record({
      trustDomain: fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/),
      kind: fc.constantFrom<IdentityKind>('service', 'node', 'user'),
      name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
    })
    fc.assert(
      fc.property(identity, (one) => {
        expect(parseIdentity(formatIdentity(one))).toEqual(one)
      }),
    )
  })

  it('is the one URI among its names', () => {
    expect(identityOf(URI)).toEqual(scheduler)
    expect(identityOf(`DNS:localhost, ${URI}, IP Address:127.0.0.1`)).toEqual(scheduler)
  })

  it.each([
    ['none', undefined],
    ['no URI', 'DNS:scheduler'],
    ['two URIs', `${URI}, URI:spiffe://cell.test/service/mediator`],
    ['a URI inside of another name', `DNS:"x, ${URI}, y"`],
    ['another scheme', 'URI:https://cell.test/service/scheduler'],
    ['an unknown kind', 'URI:spiffe://cell.test/constructor/scheduler'],
    ['a longer path', `${URI}/admin`],
    ['no name', 'URI:spiffe://cell.test/service/'],
    ['an upper-case domain', 'URI:spiffe://Cell.test/service/scheduler'],
  ])('is none where there is %s', (_, names) => {
    expect(identityOf(names)).toBeUndefined()
  })
})

it('an agent is bound to its node, a user to its tenant', () => {
  const trustDomain = 'cell.test'
  expect(principalOf(scheduler)).toMatchObject({ roles: ['service'], tenant: '' })
  expect(principalOf({ trustDomain, kind: 'node', name: 'n1' })).toEqual({
    subject: 'node:n1',
    tenant: '',
    roles: ['agent'],
  })
  expect(principalOf({ trustDomain, kind: 'user', name: 'team-a' })).toEqual({
    subject: 'cert:team-a',
    tenant: 'team-a',
    roles: ['tenant'],
  })
})

it('every API has the service that answers it, or is served by all', () => {
  const services = new Set(Object.keys(ACCESS).map((path) => path.split('/')[1] ?? ''))
  const open = [...services].filter((service) => serverOf(service) === undefined)
  expect(open.sort()).toEqual([
    'grpc.health.v1.Health',
    'grpc.reflection.v1.ServerReflection',
    'serverlessai.admin.v1.AdminService',
    'serverlessai.feed.v1.EventFeedService',
  ])
  expect(serverOf('serverlessai.agent.v1.AgentService')).toBe('pool-manager')
})

it('a server is who it should be by kind, name and domain', () => {
  const wanted = { trustDomain: 'cell.test', server: 'scheduler' }
  expect(serverMismatch(scheduler, wanted)).toBeUndefined()
  expect(serverMismatch(scheduler, { ...wanted, server: undefined })).toBeUndefined()
  expect(serverMismatch({ ...scheduler, name: 'mediator' }, wanted)).toContain('service/mediator')
  expect(serverMismatch({ ...scheduler, kind: 'node' }, wanted)).toContain('node/scheduler')
  expect(serverMismatch({ ...scheduler, trustDomain: 'other' }, wanted)).toContain('other')
  expect(serverMismatch(undefined, wanted)).toContain('no identity')
})
