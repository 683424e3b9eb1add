// Runs once, before everything else: certificates of services, nodes and broker under an authority
// of their own, passwords, tokens of users. What is there already stays; remove the volumes for new
// ones. The originals are root's alone; each consumer is given copies of what it needs, in a volume
// of its own: tasks of tenants run as the user of the agents.
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const { resolve } = createRequire('/opt/serverless-ai/apps/cli/package.json')
const { initAuthority, issue, issueHostCertificate } = await import(resolve('@serverless-ai/certs'))

const STORE = '/secrets'
/** Here the volumes of the consumers are, by their names. */
const GIVEN = '/secrets-of'
const DATA = '/var/lib/serverless-ai'
const DAY_MS = 86_400_000
const TRUST_DOMAIN = 'serverless-ai.local'
const ROOT = 0
/** Users of the images: the product's, and the broker's. */
const SAI = 10001
const BROKER = 1000

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
const NODES = ['n1', 'n2', 'n3']
const TENANTS = ['team-a', 'team-b']
/** Of the broker. */
const USERS = ['admin', 'serverless-ai', 'operator']
const KEYSTORE = 'kafka/keystore.pem'

const password = (user) => `kafka/${user}.password`
const pair = (base) => [`${base}.crt`, `${base}.key`]

/** What each consumer is given, beside the certificate of the authority. */
const CONSUMERS = [
  // The broker makes its users once, so it reads the passwords of all.
  ['kafka', BROKER, [KEYSTORE, ...USERS.map(password)]],
  ['acls', SAI, [password('admin')]],
  ['topics', SAI, [password('operator')]],
  ...[...SERVICES, 'gateway'].map((name) => {
    return [name, SAI, [...pair(`service-${name}`), password('serverless-ai')]]
  }),
  ...NODES.map((name) => [name, SAI, pair(`node-${name}`)]),
  ['people', SAI, TENANTS.flatMap((name) => pair(`user-${name}`))],
]

const secret = () => randomBytes(24).toString('base64url')

/** In one step: services read their files again while they run. */
function put(path, text, owner) {
  const temporary = `${path}.new`
  writeFileSync(temporary, text, { mode: 0o600 })
  chownSync(temporary, owner, owner)
  renameSync(temporary, path)
}

function putOnce(path, text, owner) {
  if (!existsSync(path)) put(path, text, owner)
}

function ownDirectory(path, owner) {
  mkdirSync(path, { recursive: true })
  chownSync(path, owner, owner)
  chmodSync(path, 0o700)
}

/** The originals are root's alone, those of earlier versions as well. */
function closeStore() {
  const key = join(STORE, 'ca.key')
  const wasOpen = existsSync(key) && (statSync(STORE).mode & 0o077) !== 0
  if (wasOpen) put(join(STORE, 'was-open'), '', ROOT)
  for (const path of [STORE, join(STORE, 'kafka')]) {
    ownDirectory(path, ROOT)
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (!entry.isFile()) continue
      chownSync(join(path, entry.name), ROOT, ROOT)
      chmodSync(join(path, entry.name), 0o600)
    }
  }
}

async function makeOriginals() {
  const nowMs = Date.now()
  if (!existsSync(join(STORE, 'ca.crt'))) {
    await initAuthority({ directory: STORE, days: 365, nowMs })
  }
  const identities = [
    ...[...SERVICES, 'gateway'].map((name) => ({ kind: 'service', name })),
    ...NODES.map((name) => ({ kind: 'node', name })),
    ...TENANTS.map((name) => ({ kind: 'user', name })),
  ]
  for (const { kind, name } of identities) {
    if (existsSync(join(STORE, `${kind}-${name}.crt`))) continue
    const identity = { trustDomain: TRUST_DOMAIN, kind, name }
    await issue({ directory: STORE, identity, days: 90, nowMs })
  }
  if (!existsSync(join(STORE, KEYSTORE))) {
    const authority = {
      cert: readFileSync(join(STORE, 'ca.crt'), 'utf8'),
      key: readFileSync(join(STORE, 'ca.key'), 'utf8'),
    }
    const subject = { commonName: 'kafka', hosts: ['kafka', 'localhost'] }
    const validity = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + 365 * DAY_MS }
    const { cert, key } = await issueHostCertificate(authority, subject, validity)
    put(join(STORE, KEYSTORE), `${key}${cert}${authority.cert}`, ROOT)
  }
  for (const user of USERS) {
    putOnce(join(STORE, password(user)), secret(), ROOT)
  }
}

function give([name, owner, files]) {
  const folder = join(GIVEN, name)
  for (const file of ['ca.crt', ...files]) {
    const path = join(folder, file)
    ownDirectory(dirname(path), owner)
    put(path, readFileSync(join(STORE, file)), owner)
  }
}

function makeTokens() {
  const tokens = {
    service: secret(),
    admin: secret(),
    tenants: Object.fromEntries(TENANTS.map((name) => [name, secret()])),
    nodes: {},
  }
  putOnce(join(DATA, 'tokens.json'), `${JSON.stringify(tokens, undefined, 2)}\n`, SAI)
  const known = JSON.parse(readFileSync(join(DATA, 'tokens.json'), 'utf8'))
  const address = SERVICES.flatMap((name) => [`${name}-1:7070`, `${name}-2:7070`]).join(',')
  const contexts = [
    ...Object.entries(known.tenants).map(([name, token]) => ({ name, tenant: name, token })),
    { name: 'admin', tenant: '', token: known.admin },
  ]
  const settings = { address, current: 'team-a', contexts }
  putOnce(join(DATA, 'cli.json'), `${JSON.stringify(settings)}\n`, SAI)
}

closeStore()
await makeOriginals()
CONSUMERS.forEach(give)
makeTokens()
for (const directory of [DATA, '/checkpoints']) chownSync(directory, SAI, SAI)
chownSync('/kafka-data', BROKER, BROKER)
console.log('certificates, passwords and tokens are there')
if (existsSync(join(STORE, 'was-open'))) {
  const lines = [
    'An earlier version made them, and tasks of tenants could read them. They go on working,',
    'for whoever has read them too. New ones, without the jobs: docker compose down -v, then up.',
  ]
  console.log(lines.join('\n'))
}
