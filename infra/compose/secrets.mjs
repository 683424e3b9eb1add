// Runs at each `up`, before everything else: certificates of services, nodes and broker under an
// authority of their own, passwords, tokens of users. What is there already stays, but certificates
// that end soon are made anew; remove the volumes for other passwords and tokens. The originals are
// root's alone; each consumer is given copies of what it needs, in a volume of its own: tasks of
// tenants run as the user of the agents.
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
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

const DAY_MS = 86_400_000
const AUTHORITY_DAYS = 3_650
/** More than those of what it signs and theirs for renewal, so that it shortens nobody's. */
const AUTHORITY_RENEW_DAYS = 400
/** The broker reads its certificate at its start alone. */
const BROKER_DAYS = 365
const DAYS = 90
/** With fewer left it is made anew: whoever runs `up` once a month never sees an end. */
const RENEW_DAYS = 30
const TRUST_DOMAIN = 'serverless-ai.local'
const ROOT = 0
const OLD_IMAGE =
  "the image of the control plane is older than these files: make it anew ('up --build', or " +
  "'node tools/images.ts control-plane agent')"
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

const endOf = (pem) => Date.parse(new X509Certificate(pem).validTo)

/** The files below `root`; `certs` is the library that issues. */
export class Secrets {
  #certs
  #nowMs
  #chown
  /** Originals. */
  #store
  /** Here the volumes of the consumers are, by their names. */
  #given
  #data
  #renewed = []

  constructor({ certs, nowMs, root = '/', chown = chownSync }) {
    this.#certs = certs
    this.#nowMs = nowMs
    this.#chown = (path, owner) => chown(path, owner, owner)
    this.#store = join(root, 'secrets')
    this.#given = join(root, 'secrets-of')
    this.#data = join(root, 'var/lib/serverless-ai')
  }

  /** Makes what is missing or ends soon, and gives everybody its copies. Answers lines to tell. */
  async provide() {
    this.#closeStore()
    await this.#makeOriginals()
    for (const consumer of CONSUMERS) this.#give(consumer)
    this.#makeTokens()
    return this.#lines()
  }

  #lines() {
    const lines = ['certificates, passwords and tokens are there']
    if (this.#renewed.length > 0) lines.push(`made anew: ${this.#renewed.join(', ')}`)
    if (this.#renewed.includes('ca')) {
      lines.push('The authority has new days; for all to know: docker compose restart')
    } else if (this.#renewed.includes(KEYSTORE)) {
      lines.push('The broker takes its certificate at its start: docker compose restart kafka')
    }
    if (existsSync(join(this.#store, 'was-open'))) {
      lines.push(
        'An earlier version made them, and tasks of tenants could read them. They go on',
        'working, for whoever has read them too. New ones, without the jobs:',
        'docker compose down -v, then up.',
      )
    }
    return lines
  }

  /** In one step: services read their files again while they run. */
  #put(path, text, owner) {
    const temporary = `${path}.new`
    writeFileSync(temporary, text, { mode: 0o600 })
    this.#chown(temporary, owner)
    renameSync(temporary, path)
  }

  #putOnce(path, text, owner) {
    if (!existsSync(path)) this.#put(path, text, owner)
  }

  #ownDirectory(path, owner) {
    mkdirSync(path, { recursive: true })
    this.#chown(path, owner)
    chmodSync(path, 0o700)
  }

  /** The originals are root's alone, those of earlier versions as well. */
  #closeStore() {
    const store = this.#store
    const wasOpen = existsSync(join(store, 'ca.key')) && (statSync(store).mode & 0o077) !== 0
    if (wasOpen) this.#put(join(store, 'was-open'), '', ROOT)
    for (const path of [store, join(store, 'kafka')]) {
      this.#ownDirectory(path, ROOT)
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        if (!entry.isFile()) continue
        this.#chown(join(path, entry.name), ROOT)
        chmodSync(join(path, entry.name), 0o600)
      }
    }
  }

  #read(name) {
    return readFileSync(join(this.#store, name), 'utf8')
  }

  /** Whether a certificate is missing, ends soon, or is not the one of its key. */
  #due(certificate, key) {
    if (!existsSync(join(this.#store, certificate))) return true
    const pem = this.#read(certificate)
    const fits =
      existsSync(join(this.#store, key)) &&
      new X509Certificate(pem).checkPrivateKey(createPrivateKey(this.#read(key)))
    if (fits && endOf(pem) - this.#nowMs >= RENEW_DAYS * DAY_MS) return false
    this.#renewed.push(certificate.replace('.crt', ''))
    return true
  }

  async #makeOriginals() {
    await this.#makeAuthority()
    await this.#makeIdentities()
    await this.#makeKeystore()
    for (const user of USERS) {
      this.#putOnce(join(this.#store, password(user)), secret(), ROOT)
    }
  }

  /** Nothing outlives the authority, so it is given new days before it shortens those of others. */
  async #makeAuthority() {
    const { initAuthority, renewAuthority } = this.#certs
    const init = { directory: this.#store, days: AUTHORITY_DAYS, nowMs: this.#nowMs }
    if (!existsSync(join(this.#store, 'ca.crt'))) {
      await initAuthority(init)
    } else if (endOf(this.#read('ca.crt')) - this.#nowMs < AUTHORITY_RENEW_DAYS * DAY_MS) {
      if (renewAuthority === undefined) throw new Error(OLD_IMAGE)
      await renewAuthority(init)
      this.#renewed.push('ca')
    }
  }

  async #makeIdentities() {
    const identities = [
      ...[...SERVICES, 'gateway'].map((name) => ({ kind: 'service', name })),
      ...NODES.map((name) => ({ kind: 'node', name })),
      ...TENANTS.map((name) => ({ kind: 'user', name })),
    ]
    for (const { kind, name } of identities) {
      if (!this.#due(`${kind}-${name}.crt`, `${kind}-${name}.key`)) continue
      const identity = { trustDomain: TRUST_DOMAIN, kind, name }
      await this.#certs.issue({ directory: this.#store, identity, days: DAYS, nowMs: this.#nowMs })
    }
  }

  async #makeKeystore() {
    if (!this.#due(KEYSTORE, KEYSTORE)) return
    const authority = { cert: this.#read('ca.crt'), key: this.#read('ca.key') }
    const subject = { commonName: 'kafka', hosts: ['kafka', 'localhost'] }
    const notAfterMs = Math.min(this.#nowMs + BROKER_DAYS * DAY_MS, endOf(authority.cert))
    const validity = { notBeforeMs: this.#nowMs - DAY_MS, notAfterMs }
    const { cert, key } = await this.#certs.issueHostCertificate(authority, subject, validity)
    this.#put(join(this.#store, KEYSTORE), `${key}${cert}${authority.cert}`, ROOT)
  }

  #give([name, owner, files]) {
    const folder = join(this.#given, name)
    for (const file of ['ca.crt', ...files]) {
      const path = join(folder, file)
      this.#ownDirectory(dirname(path), owner)
      this.#put(path, this.#read(file), owner)
    }
  }

  #makeTokens() {
    const tokens = {
      service: secret(),
      admin: secret(),
      tenants: Object.fromEntries(TENANTS.map((name) => [name, secret()])),
      nodes: {},
    }
    const file = join(this.#data, 'tokens.json')
    this.#putOnce(file, `${JSON.stringify(tokens, undefined, 2)}\n`, SAI)
    const known = JSON.parse(readFileSync(file, 'utf8'))
    const address = SERVICES.flatMap((name) => [`${name}-1:7070`, `${name}-2:7070`]).join(',')
    const contexts = [
      ...Object.entries(known.tenants).map(([name, token]) => ({ name, tenant: name, token })),
      { name: 'admin', tenant: '', token: known.admin },
    ]
    const settings = { address, current: 'team-a', contexts }
    this.#putOnce(join(this.#data, 'cli.json'), `${JSON.stringify(settings)}\n`, SAI)
  }
}

if (import.meta.main) {
  const { resolve } = createRequire('/opt/serverless-ai/apps/cli/package.json')
  const certs = await import(resolve('@serverless-ai/certs'))
  const lines = await new Secrets({ certs, nowMs: Date.now() }).provide()
  for (const directory of ['/var/lib/serverless-ai', '/checkpoints']) {
    chownSync(directory, SAI, SAI)
  }
  chownSync('/kafka-data', BROKER, BROKER)
  console.log(lines.join('\n'))
}
