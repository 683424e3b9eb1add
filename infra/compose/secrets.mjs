// Runs once, before everything else: certificates of services, nodes and broker under an authority
// of their own, passwords, tokens of users. What is there already stays; remove the volumes for new
// ones. As root: other users than one's own have to read some of it.
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { resolve } = createRequire('/opt/serverless-ai/apps/cli/package.json')
const { initAuthority, issue, issueHostCertificate } = await import(resolve('@serverless-ai/certs'))

const SECRETS = '/secrets'
const KAFKA = join(SECRETS, 'kafka')
const DATA = '/var/lib/serverless-ai'
const DAY_MS = 86_400_000
const TRUST_DOMAIN = 'serverless-ai.local'
/** Users of the images: the product's, and the broker's. */
const SAI = 10001
const BROKER = 1000

const secret = () => randomBytes(24).toString('base64url')

/** Services with a log of their own. */
const SERVICES = [
  'mediator',
  'scheduler',
  'pool-manager',
  'fault-tolerance',
  'sla-monitor',
  'autoscaler',
  'resource-profiler',
]

function write(path, text, owner) {
  if (existsSync(path)) return
  writeFileSync(path, text, { mode: 0o600 })
  chownSync(path, owner, owner)
}

async function certificates() {
  if (existsSync(join(SECRETS, 'ca.crt'))) return
  const nowMs = Date.now()
  await initAuthority({ directory: SECRETS, days: 365, nowMs })
  const identities = [
    ...[...SERVICES, 'gateway'].map((name) => ({ kind: 'service', name })),
    ...['n1', 'n2', 'n3'].map((name) => ({ kind: 'node', name })),
    ...['team-a', 'team-b'].map((name) => ({ kind: 'user', name })),
  ]
  for (const one of identities) {
    const identity = { trustDomain: TRUST_DOMAIN, ...one }
    await issue({ directory: SECRETS, identity, days: 90, nowMs })
  }
  const authority = {
    cert: readFileSync(join(SECRETS, 'ca.crt'), 'utf8'),
    key: readFileSync(join(SECRETS, 'ca.key'), 'utf8'),
  }
  const subject = { commonName: 'kafka', hosts: ['kafka', 'localhost'] }
  const validity = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + 365 * DAY_MS }
  const { cert, key } = await issueHostCertificate(authority, subject, validity)
  write(join(KAFKA, 'keystore.pem'), `${key}${cert}${authority.cert}`, BROKER)
  for (const name of readdirSync(SECRETS)) {
    // The key of the authority stays root's.
    if (/\.(crt|key)$/.test(name) && name !== 'ca.key') chownSync(join(SECRETS, name), SAI, SAI)
  }
  chmodSync(join(SECRETS, 'ca.crt'), 0o644)
}

mkdirSync(KAFKA, { recursive: true, mode: 0o755 })
chmodSync(SECRETS, 0o755)
await certificates()
// Both sides read a password: the broker once, to make the user.
for (const user of ['admin', 'serverless-ai', 'operator']) {
  const path = join(KAFKA, `${user}.password`)
  write(path, secret(), SAI)
  chownSync(path, SAI, BROKER)
  chmodSync(path, 0o640)
}
const tokens = {
  service: secret(),
  admin: secret(),
  tenants: { 'team-a': secret(), 'team-b': secret() },
  nodes: {},
}
write(join(DATA, 'tokens.json'), `${JSON.stringify(tokens, undefined, 2)}\n`, SAI)
const known = JSON.parse(readFileSync(join(DATA, 'tokens.json'), 'utf8'))
const address = SERVICES.flatMap((name) => [`${name}-1:7070`, `${name}-2:7070`]).join(',')
const contexts = [
  ...Object.entries(known.tenants).map(([name, token]) => ({ name, tenant: name, token })),
  { name: 'admin', tenant: '', token: known.admin },
]
write(join(DATA, 'cli.json'), `${JSON.stringify({ address, current: 'team-a', contexts })}\n`, SAI)
for (const directory of [DATA, '/checkpoints']) chownSync(directory, SAI, SAI)
chownSync('/kafka-data', BROKER, BROKER)
console.log('certificates, passwords and tokens are there')
